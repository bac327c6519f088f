"""Apply: the stream -> the store.

    stream -> [read the keys' rows, join, judge each update, write on condition] -> store
                     |
                     +-> dead letters
                     +-> the audit's queue: what came again, or too late

A batch's updates are judged in the order of the stream on working copies of the keys' rows. Rows that one update
changes together are written together: they form a *group*, one transaction. Everything else of a key is one write. A
group whose condition fails was read from rows that somebody has changed since; its updates are judged again on what is
there now.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog

from playerstate.core.batch import Batch, Group, Idle, Item
from playerstate.core.check import FUTURE_MAX_MS, Checker, check_not_from_the_future
from playerstate.core.erasure import is_erasure
from playerstate.core.model import DeadLetter, Identity, Key, Outcome, Status, Update
from playerstate.core.producers import recall
from playerstate.core.replica import Replica
from playerstate.core.resolution import inherit
from playerstate.core.row import join_rows
from playerstate.core.schema import Schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import TIME_MAX_MS, NewerVersion, decode_record, encode_update, row_readers
from playerstate.errors import InvalidUpdate, PlayerStateError, Unavailable
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.store import Store
from playerstate.ports.stream import StreamRecord
from playerstate.stages.put_aside import PutAside, place_name
from playerstate.stages.told import tell_outcomes, tells_updates

TRIES_MAX = 20
KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Of stored rows, in the copies that are kept from batch to batch."""

DUPLICATE = "duplicate"

log = structlog.get_logger(__name__)


class Applied(NamedTuple):
    """What a batch came to: how many updates ended how (`status`, `status:reason` or `duplicate`), rows written.

    A batch that comes again has the same dead; `letters` are those that were not there, so that each counts once.
    """

    outcomes: Counter[str]
    rows_written: int
    letters: int


class _Done:
    """What has come of a batch so far."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.letters = 0
        self.new_letters = 0
        self.rows_written = 0
        self.idle: list[Idle] = []


class Apply:
    """The stage, in one region.

    So many working copies as `kept_max` says are kept from batch to batch instead of being read again. What is stale
    among them is found by the condition of its next write, as everywhere; but not other regions' rows: whoever takes
    those calls `forget_kept` when they have come. `retired` tells which regions are gone, and who is the heir of each:
    an heir takes over rights before it judges what would spend them. `note` is told of what did nothing.
    """

    def __init__(
        self,
        schema: Schema,
        region: str,
        store: Store,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        kept_max: int = 0,
        retired: Callable[[], Mapping[str, str]] = dict,
        note: Callable[[Sequence[Idle]], None] = lambda _: None,
    ) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._put_aside = PutAside(dead_letters)
        self._clock = clock
        self._checker = Checker(schema)
        self._readers = row_readers(schema)
        self._kept: dict[Key, Replica] = {}
        self._kept_max = kept_max
        self._kept_bytes_at_most = 0
        self._forget = threading.Event()
        self._retired = retired
        self._note = note
        self._inherited: Mapping[str, str] = {}

    def forget_kept(self) -> None:
        """Have the next batch read all its rows. May be called from another thread."""
        self._forget.set()

    def handle(self, records: Sequence[StreamRecord]) -> Applied:
        """Process a batch of records, whole.

        Raises `NotNow` if it could not be finished; what was done of it is not done again when it comes again.
        """
        items, letters, repeats = self._read(records)
        # first: once what is behind them is applied, they may look as if they had been too
        new_letters = self._put_aside.put(letters) if letters else 0
        try:
            done = self._process(items)
        except BaseException:
            self._kept.clear()  # they have moved on, and nobody knows whether the store has
            raise
        if done.idle:
            self._note(done.idle)
        self._put_aside.erase([(item.update, item.place[0]) for item in items if is_erasure(item.update)])
        outcomes = Counter(done.labels)
        if repeats:
            outcomes[DUPLICATE] += repeats
        if dead := len(letters) + done.letters:
            outcomes[Status.DEAD] += dead
        return Applied(outcomes, done.rows_written, new_letters + done.new_letters)

    def _process(self, items: Sequence[Item]) -> _Done:
        """Have the items judged and written, in parts if need be, until each has its outcome or its letter."""
        done = _Done()
        parts, conflicts = [items] if items else [], 0
        while parts:
            part = parts.pop()
            replicas = self._replicas(part)
            try:
                groups = self._judge(part, replicas)
            except PlayerStateError:
                raise
            except Exception as exc:
                # what this program cannot handle must not hold up what is behind it: find it by halving
                first = part[0].update
                log.exception(
                    "updates could not be judged",
                    first=part[0].place,
                    producer=first.producer,
                    sequence=first.sequence,
                    updates=len(part),
                )
                self._kept.clear()
                if len(part) == 1:
                    done.new_letters += self._put_aside.put([_letter_of_fault(part[0], self._clock.now_ms(), exc)])
                    done.letters += 1
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                continue
            again = self._commit(groups, done)
            if again:
                parts.append(again)
                conflicts += 1
                if conflicts == TRIES_MAX:
                    raise Unavailable("rows keep changing under the writes")
        return done

    def _judge(self, items: Sequence[Item], replicas: Mapping[Key, Replica]) -> list[Group]:
        batch = Batch(replicas, self._clock.now_ms())
        for item in items:
            batch.judge(item)
        return batch.finish()

    def _was_processed(self, letter: DeadLetter) -> bool:
        """Whether an update that cannot take effect any more has been processed before: then this is but a repeat.

        A schema may have become stricter between two deliveries.
        """
        if letter.identity is None or letter.identity.state_key not in self._schema.keys:
            return False
        producer, sequence, player_id, state_key = letter.identity
        key = Key(player_id, state_key)
        stored = self._store.load([key])[key]
        rows = [self._readers[state_key].decode(body) for body in stored.values()]
        memory = join_rows(rows, DATA_TYPES[self._schema.keys[state_key].type]).memory
        known = recall(memory, producer, sequence, sent_at=TIME_MAX_MS)
        return isinstance(known, Outcome) and known.duplicate

    def _commit(self, groups: Sequence[Group], done: _Done) -> list[Item]:
        """Write the groups; returns the items of those that must be judged again."""
        committed = self._store.commit([group.writes for group in groups])
        again: list[Item] = []
        telling = tells_updates()
        for group, ok in zip(groups, committed, strict=True):
            if ok:
                done.rows_written += len(group.writes)
                self._kept_bytes_at_most += sum([len(write.new) for write in group.writes])
                labels = [_label(outcome) for outcome in group.outcomes]
                done.labels += labels
                if telling:
                    tell_outcomes(group.items, labels)
                done.idle += group.idle
            else:
                again += group.items
                for replica in group.replicas:
                    self._kept.pop(replica.key, None)
        return sorted(again, key=lambda item: item.place)

    def _read(self, records: Sequence[StreamRecord]) -> tuple[list[Item], list[DeadLetter], int]:
        """The updates of the records, a dead letter for each that cannot be one, and how many had been put aside."""
        items: list[Item] = []
        letters: list[DeadLetter] = []
        dead: set[Identity] = set()
        self._put_aside.refresh()
        some_put_aside, repeats = not self._put_aside.empty, 0
        now = self._clock.now_ms()
        for record in records:
            place = (record.position, None)
            try:
                accepted_at, updates, bodies = decode_record(record.body)
            except InvalidUpdate as exc:
                letters.append(_letter(place, now, exc, record.body))
                continue
            except NewerVersion as exc:  # or garbage that looks like it: it must not hold up what is behind it
                error = InvalidUpdate(str(exc), code="newer_version")
                letters.append(_letter(place, now, error, record.body))
                continue
            from_the_future = accepted_at > now + FUTURE_MAX_MS
            for index, update in enumerate(updates):
                try:
                    if isinstance(update, InvalidUpdate):
                        raise update
                    if (dead or some_put_aside) and self._is_dead(update, dead):
                        repeats += 1
                        continue
                    if from_the_future:
                        raise InvalidUpdate("The record was accepted in the future", code="too_new", where="$[1]")
                    if is_erasure(update):
                        self._checker.check_erasure(update)
                    else:
                        self._checker.check(update)
                    check_not_from_the_future(update, accepted_at)
                except InvalidUpdate as exc:
                    body = encode_update(update) if isinstance(update, Update) else bodies[index]
                    letter = _letter((record.position, index), now, exc, body, update)
                    if not self._was_processed(letter):
                        letters.append(letter)
                        dead.update([letter.identity] if letter.identity else ())
                else:
                    keys = [op.key for op in update.ops]
                    items.append(Item((record.position, index), accepted_at, update, keys, len(record.body)))
        return items, letters, repeats

    def _is_dead(self, update: Update, dead: Collection[Identity]) -> bool:
        """Whether an update was put aside, in this batch or before: it stays dead, for its letter may be sent again."""
        return bool(update.ops) and (update.identity in dead or self._put_aside.holds(update.identity))

    def _replicas(self, items: Sequence[Item]) -> dict[Key, Replica]:
        """A working copy of every key that the items name."""
        retired = self._retired()
        if self._forget.is_set() or retired != self._inherited:
            self._forget.clear()  # before the rows are read: those that come meanwhile set it again
            self._kept.clear()
            self._inherited = retired
        keys = dict.fromkeys([key for item in items for key in item.keys])
        replicas = {key: kept for key in keys if (kept := self._kept.pop(key, None))}
        for key, stored in self._store.load([key for key in keys if key not in replicas]).items():
            reader = self._readers[key.state_key]
            rows = {region: reader.decode(body) for region, body in stored.items()}
            spec = self._schema.keys[key.state_key]
            own = stored.get(self._region)
            size = sum(map(len, stored.values()))
            replica = Replica(key, spec, self._schema.version, self._region, rows, own, stored_bytes=size)
            if retired:
                inherit(replica, self._clock.now_ms(), retired)
            replicas[key] = replica
        if self._kept_max:
            self._keep(replicas)
        return replicas

    def _keep(self, replicas: dict[Key, Replica]) -> None:
        """Keep the copies, the latest last, and let the older half go when they are too many or too large.

        What was kept and written since the last count is a bound on their size; only beyond it are they counted again.
        """
        self._kept.update(replicas)
        self._kept_bytes_at_most += _bytes(replicas)
        if self._kept_bytes_at_most > KEPT_BYTES_MAX:
            self._kept_bytes_at_most = _bytes(self._kept)
        while len(self._kept) > self._kept_max or self._kept_bytes_at_most > KEPT_BYTES_MAX:
            self._kept = dict(list(self._kept.items())[len(self._kept) // 2 + 1 :])
            self._kept_bytes_at_most = _bytes(self._kept)


def _bytes(replicas: Mapping[Key, Replica]) -> int:
    return sum([replica.bytes for replica in replicas.values()])


def _letter(
    place: tuple[int, int | None],
    now: int,
    error: InvalidUpdate,
    body: bytes,
    update: Update | InvalidUpdate | None = None,
) -> DeadLetter:
    position, index = place
    identity = None
    if isinstance(update, Update) and update.ops and update.producer:
        identity = update.identity
    return DeadLetter(place_name(position, index), "apply", now, error.code, str(error), body, identity)


def _letter_of_fault(item: Item, now: int, fault: Exception) -> DeadLetter:
    error = InvalidUpdate(f"The update meets a fault of this program: {fault!r}", code="internal")
    return _letter(item.place, now, error, encode_update(item.update), item.update)


def _label(outcome: Outcome) -> str:
    if outcome.duplicate:
        return DUPLICATE
    return f"{outcome.status}:{outcome.reason}" if outcome.reason else outcome.status
