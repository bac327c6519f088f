"""Apply: the stream -> the store.

    stream -> [read the keys' rows, join, judge each update, write on condition] -> store
                     |
                     +-> dead letters

A batch's updates are judged in the order of the stream on working copies of the keys' rows. Rows that one update
changes together are written together: they form a *group*, one transaction. Everything else of a key is one write. A
group whose condition fails was read from rows that somebody has changed since; its updates are judged again on what is
there now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from playerstate.core.batch import Batch, Group, Item
from playerstate.core.check import FUTURE_MAX_MS, Checker, check_not_from_the_future
from playerstate.core.model import DeadLetter, Identity, Key, Outcome, Status, Update
from playerstate.core.producers import recall
from playerstate.core.replica import Replica
from playerstate.core.row import join_rows
from playerstate.core.schema import Schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import TIME_MAX_MS, NewerVersion, decode_record, encode_update, row_readers
from playerstate.errors import InvalidUpdate, PlayerStateError, Unavailable
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.store import Store
from playerstate.ports.stream import StreamRecord

TRIES_MAX = 20
KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Of stored rows, in the copies that are kept from batch to batch."""

log = structlog.get_logger(__name__)


class Applied(NamedTuple):
    """What a batch came to: how many updates ended how (`status`, `status:reason` or `duplicate`), rows written."""

    outcomes: Counter[str]
    rows_written: int


class Apply:
    """The stage, in one region.

    `kept_max` is for a region that is alone: so many working copies are kept from batch to batch instead of being read
    again. What is stale among them is found by the condition of its next write, as everywhere. With other regions it
    must be 0, or their rows would not be seen.
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
    ) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._checker = Checker(schema)
        self._readers = row_readers(schema)
        self._kept: dict[Key, Replica] = {}
        self._kept_max = kept_max

    def handle(self, records: Sequence[StreamRecord]) -> Applied:
        """Process a batch of records, whole.

        Raises `NotNow` if it could not be finished; what was done of it is not done again when it comes again.
        """
        items, letters = self._read(records)
        letters = [letter for letter in letters if not self._was_processed(letter)]
        applied = Applied(Counter(), 0)
        try:
            for _ in range(TRIES_MAX):
                if not items:
                    break
                batch = Batch(self._replicas(items), self._clock.now_ms())
                letters += [letter for item in items if (letter := self._judge(batch, item))]
                applied, items = self._commit(batch.finish(), applied)
        except BaseException:
            self._kept.clear()  # they have moved on, and nobody knows whether the store has
            raise
        if items:
            raise Unavailable("rows keep changing under the writes")
        if letters:
            self._dead_letters.put(letters)
            applied.outcomes[Status.DEAD] += len(letters)
        return applied

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

    def _judge(self, batch: Batch, item: Item) -> DeadLetter | None:
        """Have an update judged. One that this program cannot handle must not hold up those behind it either."""
        try:
            batch.judge(item)
        except PlayerStateError:
            raise
        except Exception as exc:
            log.exception("an update could not be judged", place=item.place)
            error = InvalidUpdate(f"The update meets a fault of this program: {exc!r}", code="internal")
            body = encode_update(item.update)
            return _letter(item.place, self._clock.now_ms(), error, body, item.update)
        return None

    def _commit(self, groups: Sequence[Group], applied: Applied) -> tuple[Applied, list[Item]]:
        """Write the groups; what has been applied by now, and the items of the groups that must be judged again."""
        committed = self._store.commit([group.writes for group in groups])
        again: list[Item] = []
        outcomes, rows_written = applied
        for group, ok in zip(groups, committed, strict=True):
            if ok:
                rows_written += len(group.writes)
                outcomes.update(map(_label, group.outcomes))
            else:
                again += group.items
                for key in group.keys:
                    self._kept.pop(key, None)
        return Applied(outcomes, rows_written), sorted(again, key=lambda item: item.place)

    def _read(self, records: Sequence[StreamRecord]) -> tuple[list[Item], list[DeadLetter]]:
        """The updates of the records, and a dead letter for each that cannot be one."""
        items: list[Item] = []
        letters: list[DeadLetter] = []
        now = self._clock.now_ms()
        for record in records:
            place = f"{record.position:016d}"
            try:
                accepted_at, updates, bodies = decode_record(record.body)
                if accepted_at > now + FUTURE_MAX_MS:
                    raise InvalidUpdate("The record was accepted in the future", code="too_new", where="$[1]")
            except InvalidUpdate as exc:
                letters.append(_letter(place, now, exc, record.body))
                continue
            except NewerVersion as exc:  # or garbage that looks like it: it must not hold up what is behind it
                error = InvalidUpdate(str(exc), code="newer_version")
                letters.append(_letter(place, now, error, record.body))
                continue
            for index, update in enumerate(updates):
                try:
                    if isinstance(update, InvalidUpdate):
                        raise update
                    self._checker.check(update)
                    check_not_from_the_future(update, accepted_at)
                except InvalidUpdate as exc:
                    body = encode_update(update) if isinstance(update, Update) else bodies[index]
                    letters.append(_letter(f"{place}-{index:04d}", now, exc, body, update))
                else:
                    keys = [op.key for op in update.ops]
                    items.append(Item(f"{place}-{index:04d}", accepted_at, update, keys, len(record.body)))
        return items, letters

    def _replicas(self, items: Sequence[Item]) -> dict[Key, Replica]:
        """A working copy of every key that the items name."""
        keys = dict.fromkeys([key for item in items for key in item.keys])
        replicas = {key: kept for key in keys if (kept := self._kept.pop(key, None))}
        for key, stored in self._store.load([key for key in keys if key not in replicas]).items():
            reader = self._readers[key.state_key]
            rows = {region: reader.decode(body) for region, body in stored.items()}
            spec = self._schema.keys[key.state_key]
            own = stored.get(self._region)
            size = sum(map(len, stored.values()))
            replicas[key] = Replica(key, spec, self._schema.version, self._region, rows, own, stored_bytes=size)
        if self._kept_max:
            self._keep(replicas)
        return replicas

    def _keep(self, replicas: dict[Key, Replica]) -> None:
        """Keep the copies, the latest last, and let the older half go when they are too many or too large."""
        self._kept.update(replicas)
        while len(self._kept) > self._kept_max or sum([r.bytes for r in self._kept.values()]) > KEPT_BYTES_MAX:
            self._kept = dict(list(self._kept.items())[len(self._kept) // 2 + 1 :])


def _letter(
    place: str, now: int, error: InvalidUpdate, body: bytes, update: Update | InvalidUpdate | None = None
) -> DeadLetter:
    identity = None
    if isinstance(update, Update) and update.ops and update.producer:
        identity = Identity(update.producer, update.sequence, *update.first_key)
    return DeadLetter(f"stream-{place}", "apply", now, error.code, str(error), body, identity)


def _label(outcome: Outcome) -> str:
    if outcome.duplicate:
        return "duplicate"
    return f"{outcome.status}:{outcome.reason}" if outcome.reason else str(outcome.status)
