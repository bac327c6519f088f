"""Accept: requests -> the stream.

    requests -> [checked, given an identity, one record per player and call] -> stream

An update that cannot take effect is answered with the reason. The others are on disk when the call returns.

Erasing a player comes this way too, as updates that only this stage makes, so that it takes its place behind what was
accepted before.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from playerstate.api import AnyUpdate
from playerstate.core.answers import Accepted, AcceptStats, Answer, Rejected
from playerstate.core.check import FUTURE_MAX_MS, Checker, check_client_producer, check_player_id, check_times
from playerstate.core.erasure import check_reason, erasure
from playerstate.core.model import Key, Update
from playerstate.core.producers import ERASER_PREFIX, OWN_PRODUCER_PREFIX
from playerstate.core.recent import RecentMax
from playerstate.core.schema import Schema
from playerstate.core.wire import convert_update, decode_json_update, encode_record, encode_update
from playerstate.errors import InvalidUpdate, NotNow, SlowDown
from playerstate.ports.clock import Clock
from playerstate.ports.stream import Appender, NewRecord
from playerstate.stages.told import tell_answers, tells_updates

UPDATE_BYTES_MAX = 65_536
RECORD_BYTES_MAX = 262_144
LANES_MAX = 32
"""How many calls are taken at once; each uses up one of the producers that a key remembers."""
LAG_MAX = 200_000
"""How many records apply may be behind before callers are asked to slow down."""


class Lanes:
    """Identities for updates that come without one.

    A lane is a producer id with one rising line of sequences for all keys. It serves one call at a time, so its numbers
    reach the stream in their order. `base` must never have been used with numbers of `first_sequence` or above.
    """

    def __init__(self, base: str, first_sequence: int) -> None:
        self._base = base
        self._first_sequence = first_sequence
        self._lock = threading.Lock()
        self._idle: list[Lane] = []
        self._count = 0
        self._places = threading.BoundedSemaphore(LANES_MAX)
        self._eraser = Lane(f"{ERASER_PREFIX}{base}", first_sequence)
        self._erasing = threading.Lock()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Lane]:
        """A lane that nobody else uses meanwhile: the one used last, so that few producers are ever seen."""
        self._places.acquire()
        with self._lock:
            if self._idle:
                lane = self._idle.pop()
            else:
                self._count += 1
                lane = Lane(f"{OWN_PRODUCER_PREFIX}{self._base}.{self._count}", self._first_sequence)
        try:
            yield lane
        finally:
            with self._lock:
                self._idle.append(lane)
            self._places.release()

    @contextlib.contextmanager
    def borrow_eraser(self) -> Iterator[Lane]:
        """The one lane that erases, which nobody else uses meanwhile."""
        with self._erasing:
            yield self._eraser


class Lane:
    """One producer of accept's own, and the number that its next update will have."""

    def __init__(self, producer: str, next_sequence: int) -> None:
        self.producer = producer
        self.next_sequence = next_sequence


class Accept:
    """The stage. `applied` tells how far on the stream apply has come, where it is one log with one line of positions.

    `head` is the position of the last record that is there at the start.
    """

    def __init__(
        self,
        schema: Schema,
        stream: Appender,
        clock: Clock,
        lanes: Lanes,
        applied: Callable[[], int] | None = None,
        *,
        head: int = 0,
    ) -> None:
        self._schema = schema
        self._checker = Checker(schema)
        self._stream = stream
        self._clock = clock
        self._lanes = lanes
        self._applied = applied
        self._head = head
        self._accepted = 0
        self._rejected: Counter[str] = Counter()
        self._slowed_down = 0
        self._senders_ahead_ms = RecentMax()
        self._counting = threading.Lock()

    def stats(self) -> AcceptStats:
        """What has been answered so far."""
        with self._counting:
            ahead_ms = self._senders_ahead_ms.value(self._clock.now_ms() / 1000)
            return AcceptStats(self._accepted, dict(self._rejected), self._slowed_down, ahead_ms / 1000)

    def handle(self, requests: Sequence[AnyUpdate]) -> list[Answer]:
        """Take the updates, in order; the answer to each. Raises `InvalidUpdate` if there are none.

        Raises `SlowDown` if too much waits already, `Unavailable` if nothing was taken, `OutcomeUnknown` if that cannot
        be told.
        """
        self._check_lag()
        if not requests:
            raise InvalidUpdate("A batch has at least one update", code="empty")
        now = self._clock.now_ms()
        with self._lanes.borrow() as lane:
            first_sequence = lane.next_sequence
            answers: list[Answer] = []
            records = _Records(now)
            for request in requests:
                try:
                    update = self._complete(request, now, lane)
                    body = encode_update(update)
                    _check_size(body)
                except InvalidUpdate as exc:
                    answers.append(Rejected.of(exc))
                    continue
                if update.producer == lane.producer:
                    lane.next_sequence += 1
                player_id, state_key = update.first_key
                records.add(player_id, body)
                answers.append(Accepted(update.producer, update.sequence, player_id, state_key))
            batch = records.finish()
            if batch:
                self._append(batch, lane, first_sequence)
        self._count(answers)
        return answers

    def now_ms(self) -> int:
        """The time by the stage's clock."""
        return self._clock.now_ms()

    def erase(self, player_id: str, reason: str) -> list[Accepted]:
        """Have every key of the schema erased for a player, one update each: another region may hold what this one has
        not seen.

        Raises `InvalidUpdate` for no player's id or no reason, otherwise as `handle`.
        """
        check_player_id(player_id)
        check_reason(reason)
        self._check_lag()
        now = self._clock.now_ms()
        with self._lanes.borrow_eraser() as lane:
            first_sequence = lane.next_sequence
            records = _Records(now)
            answers: list[Accepted] = []
            for sequence, state_key in enumerate(self._schema.keys, start=first_sequence):
                key = Key(player_id, state_key)
                update = erasure(key, reason, eraser=lane.producer, sequence=sequence, now=now)
                records.add(player_id, encode_update(update))
                answers.append(Accepted(lane.producer, sequence, *key))
            lane.next_sequence += len(answers)
            self._append(records.finish(), lane, first_sequence)
        self._count(answers)
        return answers

    def _check_lag(self) -> None:
        if self._applied is not None and self._head - self._applied() > LAG_MAX:
            with self._counting:
                self._slowed_down += 1
            raise SlowDown("too many updates wait to be applied", retry_after_s=1.0)

    def _count(self, answers: Sequence[Answer]) -> None:
        if tells_updates():
            tell_answers(answers)
        rejected = [answer.code for answer in answers if isinstance(answer, Rejected)]
        with self._counting:
            self._accepted += len(answers) - len(rejected)
            self._rejected.update(rejected)

    def _append(self, batch: Sequence[NewRecord], lane: Lane, first_sequence: int) -> None:
        """Append records; the lane, whose numbers from `first_sequence` on they have, gets them back if that fails."""
        try:
            self._head = self._stream.append(batch)
        except NotNow:
            lane.next_sequence = first_sequence  # nothing was appended, so nothing has these numbers
            raise

    def _complete(self, request: AnyUpdate, now: int, lane: Lane) -> Update:
        """The update, checked, with identity and time."""
        update = decode_json_update(request) if isinstance(request, (bytes, str)) else convert_update(request)
        if not update.sent_at:
            update = msgspec.structs.replace(update, sent_at=now)
        elif update.sent_at > now:
            self._senders_ahead_ms.note(min(update.sent_at - now, FUTURE_MAX_MS), now / 1000)
        check_times(update, now)
        if update.producer:
            check_client_producer(update.producer)
            self._checker.check(update)
            return update
        if update.sequence:
            raise InvalidUpdate(
                "A sequence needs the producer that it belongs to", code="bad_sequence", where="$.sequence"
            )
        self._checker.check_content(update)
        return msgspec.structs.replace(update, producer=lane.producer, sequence=lane.next_sequence)


class _Records:
    """Gathers one call's updates into one record per player, or several where they would grow too large."""

    def __init__(self, accepted_at: int) -> None:
        self._accepted_at = accepted_at
        self._open: dict[str, list[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._finished: list[NewRecord] = []

    def add(self, player_id: str, body: bytes) -> None:
        """Add an update's encoded form."""
        size = self._sizes.get(player_id, 0) + len(body)
        if size > RECORD_BYTES_MAX:
            self._close(player_id)
            size = len(body)
        self._open.setdefault(player_id, []).append(body)
        self._sizes[player_id] = size

    def finish(self) -> list[NewRecord]:
        """The records, each player's in order."""
        for player_id in list(self._open):
            self._close(player_id)
        return self._finished

    def _close(self, player_id: str) -> None:
        record = encode_record(self._accepted_at, self._open.pop(player_id))
        self._finished.append(NewRecord(player_id, record))


def _check_size(body: bytes) -> None:
    if len(body) > UPDATE_BYTES_MAX:
        raise InvalidUpdate(
            f"The update has {len(body)} bytes, at most {UPDATE_BYTES_MAX} are allowed", code="too_large"
        )
