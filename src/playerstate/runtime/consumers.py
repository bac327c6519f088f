"""Consumers: each takes a batch from a source, has a stage handle it, and notes how far it has come.

The note comes after the work, so that a crash between the two repeats work and never skips it.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from playerstate.core.answers import RetentionStats, StageStats, VerificationStats
from playerstate.core.model import DeadLetter, Key, Stage
from playerstate.core.told import decode_told, encode_told
from playerstate.core.wire import decode_notices, encode_notices
from playerstate.errors import InvalidUpdate, PlayerStateError
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Message, Queue
from playerstate.ports.store import Changes
from playerstate.ports.stream import Checkpoints, Stream
from playerstate.runtime.freshness import Freshness
from playerstate.stages.apply import Apply
from playerstate.stages.project import Project

RECORDS_MAX = 5_000
CHANGES_MAX = 1_000
CHANGES_KEPT_MAX = 1_000_000
"""How many changes are kept for a region that does not take them; it then has to copy all rows."""
MESSAGES_MAX = 40
VISIBILITY_S = 20.0
KEPT_AFTER_USE = 10_000
"""How many records and changes stay after every consumer has processed them, for whoever looks."""
TRIM_AT_ONCE = 4_000

log = structlog.get_logger(__name__)


class Report(msgspec.Struct):
    """What consumers have done since their process started. `applied_to` is apply's place on the stream.

    `links` is, for each region that this one hears of, how many of its changes have not been carried here.
    """

    alive: bool = True
    stages: dict[Stage, StageStats] = msgspec.field(default_factory=dict)
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    rows_written: int = 0
    applied_to: int = 0
    freshness_ms: dict[str, int] = msgspec.field(default_factory=dict)
    links: dict[str, int] = msgspec.field(default_factory=dict)
    verification: VerificationStats = msgspec.field(default_factory=VerificationStats)
    freshness_sum_ms: int = 0
    conflicts_resolved: int = 0
    retention: dict[str, RetentionStats] = msgspec.field(default_factory=dict)


class Consumer(Protocol):
    """Something that a loop can drive.

    `linger_s` is how long to leave a source alone after a step that did not fill a batch, so that more comes together.
    """

    name: Stage
    stats: StageStats
    linger_s: float
    batch_max: int

    def step(self) -> int:
        """Take one batch and return how many inputs it had; 0 if there was nothing to do."""
        ...

    def tell(self, report: Report) -> None:
        """Add to a report what only this consumer knows."""
        ...


class ApplyConsumer:
    """Stream -> apply. It also lets go of changes that have been projected, for it is the one that writes their file.

    A little at every step: another process, or more at once, would hold up the writes. `carried_to` says how far other
    regions have taken the changes, `old_changes` up to where they are too old to be kept. As long as `waits_for` names
    something, nothing is applied.
    """

    name: Stage = "apply"
    linger_s = 0.0
    batch_max = RECORDS_MAX

    def __init__(
        self,
        stream: Stream,
        checkpoints: Checkpoints,
        apply: Apply,
        changes: Changes,
        *,
        carried_to: Callable[[], int] | None = None,
        waits_for: Callable[[], str] = str,
        old_changes: Callable[[], int] = int,
    ) -> None:
        self.stats = StageStats()
        self.trimmed = RetentionStats()
        self.outcomes: Counter[str] = Counter()
        self.rows_written = 0
        self.position = checkpoints.load(self.name)
        self._stream = stream
        self._checkpoints = checkpoints
        self._apply = apply
        self._changes = changes
        self._first_change: int | None = None
        self._carried_to = carried_to
        self._old_changes = old_changes
        self._waits_for = waits_for
        self._missing = ""

    def step(self) -> int:
        """Take the next records of the stream."""
        missing = self._waits_for()
        if missing or self._missing:
            self._missing = self.stats.last_error = missing
        if missing:
            return 0
        records = self._stream.read(self.position, self.batch_max)
        if not records:
            self._trim_changes()  # others' rows make changes too, where nothing is applied
            return 0
        applied = self._apply.handle(records)
        self._checkpoints.save(self.name, records[-1].position)
        self.position = records[-1].position
        self.outcomes.update(applied.outcomes)
        self.rows_written += applied.rows_written
        self.stats.processed += applied.outcomes.total()
        self._trim_changes()
        return len(records)

    def _trim_changes(self) -> None:
        if self._first_change is None:
            first = self._changes.read(0, 1)
            self._first_change = first[0].position if first else 0
        going = self._first_change + TRIM_AT_ONCE
        used = self._checkpoints.load("project") - KEPT_AFTER_USE
        if going <= used and self._carried_to is not None:
            used = max(min(used, self._carried_to()), used - CHANGES_KEPT_MAX)
        if going <= used:
            self._first_change = self._trim_up_to(going)
        old = self._old_changes()
        if old > self._first_change:
            used = self._checkpoints.load("project")
            if self._carried_to is not None:
                used = min(used, self._carried_to())
            self._first_change = self._trim_up_to(min(old, used))
        self.trimmed.last_run_at = time.time_ns() // 1_000_000

    def _trim_up_to(self, position: int) -> int:
        self.trimmed.deleted += self._changes.trim(position)
        return max(position, self._first_change or 0)

    def tell(self, report: Report) -> None:
        """Outcomes, rows, the place on the stream, and what was let go of."""
        report.retention["changes"] = self.trimmed
        report.outcomes = dict(self.outcomes)
        report.rows_written = self.rows_written
        report.applied_to = self.position


class ProjectConsumer:
    """Changes -> project.

    Which keys' changes were left alone, because the schema did not have them, is kept among the checkpoints. One that
    starts with a schema that has them looks at all stored rows of those keys, for their changes may be gone by then.
    """

    name: Stage = "project"
    linger_s = 0.0
    batch_max = CHANGES_MAX

    def __init__(self, changes: Changes, checkpoints: Checkpoints, project: Project) -> None:
        self.stats = StageStats()
        self.freshness = Freshness()
        self.position = checkpoints.load(self.name)
        self._changes = changes
        self._checkpoints = checkpoints
        self._project = project
        self._left_alone: set[str] = set()
        self._missed = {name for name in project.state_keys if checkpoints.load(_left_alone_name(name))}
        self._looked_to: Key | None = None

    def step(self) -> int:
        """Take the next changes of the store, and some of the rows that have to be looked at."""
        changes = self._changes.read(self.position, self.batch_max)
        if changes:
            projected = self._project.handle(changes)
            self._note_left_alone(projected.left_alone)
            self._checkpoints.save(self.name, changes[-1].position)
            self.position = changes[-1].position
            self.freshness.add(projected.freshness_ms)
            self.stats.processed += len(changes)
        looked = self._look_at_missed() if self._missed else 0
        return len(changes) + looked

    def _note_left_alone(self, state_keys: Collection[str]) -> None:
        for name in set(state_keys) - self._left_alone:
            log.warning("a key of another region is not in this one's schema; it is not shown here", state_key=name)
            self._checkpoints.save(_left_alone_name(name), 1)
            self._left_alone.add(name)

    def _look_at_missed(self) -> int:
        self._looked_to = self._project.handle_stored(self._missed, self._looked_to, self.batch_max)
        if self._looked_to is None:
            for name in self._missed:
                log.info("a key that only other regions had is shown from now on", state_key=name)
                self._checkpoints.save(_left_alone_name(name), 0)
            self._missed = set()
        return 1

    def tell(self, report: Report) -> None:
        """Freshness, and what was found wrong in the cache on the way."""
        met = self._project
        report.verification = report.verification.with_found(met.found, met.repaired)
        report.freshness_ms = self.freshness.buckets()
        report.freshness_sum_ms = self.freshness.sum_ms


def _left_alone_name(state_key: str) -> str:
    """What is called among the checkpoints that changes of a key were left alone."""
    return f"left-alone:{state_key}"


class MessageForm(NamedTuple):
    """How a queue's messages are read and written. `decode` raises `InvalidUpdate` for what is none."""

    decode: Callable[[bytes], Sequence[Any]]
    encode: Callable[[list[Any]], bytes]


NOTICES = MessageForm(decode_notices, encode_notices)
NOTICES_AND_DELIVERIES = MessageForm(decode_told, encode_told)
"""What the audit is told: what changed, and what came and changed nothing."""


class QueueConsumer:
    """A consumer group's queue -> the stage that takes its notices, or whatever `form` says.

    A message that is none goes to the dead letters at once: trying again cannot help.
    """

    batch_max = MESSAGES_MAX

    def __init__(
        self,
        name: Stage,
        queue: Queue,
        handle: Callable[[Sequence[Any]], int],
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        linger_s: float = 0.1,
        form: MessageForm = NOTICES,
    ) -> None:
        self.name: Stage = name
        self.linger_s = linger_s
        self.stats = StageStats()
        self._queue = queue
        self._handle = handle
        self._dead_letters = dead_letters
        self._clock = clock
        self._form = form

    def step(self) -> int:
        """Take the next messages of the queue."""
        messages = self._queue.receive(self.batch_max, visibility_s=VISIBILITY_S)
        if not messages:
            return 0
        notices: list[Any] = []
        for message in messages:
            try:
                notices += self._form.decode(message.body)
            except InvalidUpdate as exc:
                now = self._clock.now_ms()
                self._dead_letters.put([dead_message(self.name, message.body, exc.code, str(exc), now)])
        try:
            self._handle(notices)
        except PlayerStateError:
            raise
        except Exception:
            log.exception("a stage met a fault; its messages are taken one by one", stage=self.name)
            self._handle_one_by_one(messages)
        self._queue.delete([message.receipt for message in messages])
        self.stats.processed += len(notices)
        return len(messages)

    def _handle_one_by_one(self, messages: Sequence[Message]) -> None:
        """Put aside what the stage cannot take, and nothing beside it."""
        for message in messages:
            for notice in self._told_by(message):
                try:
                    self._handle([notice])
                except PlayerStateError:
                    raise
                except Exception as exc:  # noqa: BLE001 - whatever it is, it is kept and told
                    body, now = self._form.encode([notice]), self._clock.now_ms()
                    self._dead_letters.put([dead_message(self.name, body, "internal", repr(exc), now)])

    def _told_by(self, message: Message) -> Sequence[Any]:
        try:
            return self._form.decode(message.body)
        except InvalidUpdate:
            return []  # it is a dead letter already

    def tell(self, report: Report) -> None:
        """Nothing that its stats do not say."""


def dead_message(stage: Stage, body: bytes, code: str, reason: str, now: int) -> DeadLetter:
    """The dead letter of a message; its id follows from what it says, so that finding it twice keeps one."""
    return DeadLetter(f"{stage}-{hashlib.sha256(body).hexdigest()[:16]}", stage, now, code, reason, body)
