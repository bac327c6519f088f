"""Retention: what is kept for how long, and how much of it, while a node runs.

Each rule deletes a batch at a time. A `Retainer` runs them, in the process that writes the file, where there is
one; the lists below say which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

from playerstate.core.findings import FINDINGS_MAX
from playerstate.core.letters import GONE_LETTERS_MAX, LETTERS_MAX
from playerstate.core.producers import RETENTION_MS
from playerstate.core.wire import read_accepted_at
from playerstate.ports.audit import Audit
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.findings import Findings
from playerstate.ports.stream import Checkpoints, Stream
from playerstate.runtime.applying import KEPT_AFTER_USE
from playerstate.settings import Retention

LOOK_EVERY_S = 5.0
LOOKED_AT = 500
"""How many transitions, records or changes are looked at, and deleted, at once."""
LOOKED_AT_MAX = 4_000
"""How many transitions, where there are many: batches grow, or a full history could not keep up with traffic."""
BYTES_EACH_MIN = 256
"""What a transition takes at the least."""
LETTERS_AT_ONCE = 100
FUTURE_MS = 3_600_000
"""What was written further ahead than this has its time from a clock that was wrong."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

log = structlog.get_logger(__name__)


class Ran(NamedTuple):
    """How much a rule deleted, and whether there may be more to delete at once."""

    deleted: int
    more: bool = False


class Rule(NamedTuple):
    """What is kept, and the function that deletes a batch of what is not, by the settings and the time (ms)."""

    name: str
    what: str
    run: Callable[[Retention, int], Ran]


class ExpireLetters(Protocol):
    """`Service.expire_letters`."""

    def __call__(self, before: int, keep: int, *, limit: int) -> int:
        """End dead letters that are too old or too many; how many."""
        ...


def rules_of_node(
    stream: Stream, checkpoints: Checkpoints, dead_letters: DeadLetters, expire: ExpireLetters, findings: Findings
) -> list[Rule]:
    """The rules that the node's own process enforces."""
    return [
        Rule("stream", "records that apply has processed", _Records(stream, checkpoints)),
        Rule("dead_letters", "dead letters", _Letters(expire)),
        Rule("gone_letters", "the record of dead letters that have gone", _GoneLetters(dead_letters)),
        Rule("findings", "findings of verification", _OldFindings(findings)),
    ]


def rules_of_follow(audit: Audit) -> list[Rule]:
    """The rules that the process enforces which projects and audits."""
    return [
        Rule("history_days", "transitions, by age", _OldTransitions(audit)),
        Rule("history_bytes", "transitions, by size", _TooManyTransitions(audit)),
    ]


class _Records:
    """Records that were processed are kept for a time, and no more than so many of them, whichever is less."""

    def __init__(self, stream: Stream, checkpoints: Checkpoints) -> None:
        self._stream = stream
        self._checkpoints = checkpoints

    def __call__(self, retention: Retention, now: int) -> Ran:
        used = self._checkpoints.load("apply")
        deleted = self._stream.trim(used - KEPT_AFTER_USE)
        found = [record for record in self._stream.read(0, LOOKED_AT) if record.position <= used]
        times = [(record.position, read_accepted_at(record.body)) for record in found]
        old = old_beginning(times, now - int(retention.stream_hours * HOUR_MS))
        more = old > 0 and old == found[-1].position
        return Ran(deleted + (self._stream.trim(old) if old else 0), more)


class _Batch:
    """How much to take at once: the more, the longer there has been more to take."""

    def __init__(self) -> None:
        self.size = LOOKED_AT

    def reset(self) -> None:
        """There is no more."""
        self.size = LOOKED_AT

    def grow(self) -> None:
        """There may be more."""
        self.size = min(2 * self.size, LOOKED_AT_MAX)


class _OldTransitions:
    """Transitions that are too old, from the one that was recorded first on.

    It ends where all of a batch are young, for what was recorded later is younger, but for few. Those whose time is yet
    to come were written by a clock that was wrong: they are left, and what lies behind them is looked at.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._after = self._first = 0
        self._batch = _Batch()

    def __call__(self, retention: Retention, now: int) -> Ran:
        before = now - int(retention.history_days * DAY_MS)
        deleted, looked_to, kept_from = self._audit.trim(before, after=self._after, limit=self._batch.size)
        from_the_future = kept_from is None or kept_from > now + FUTURE_MS
        if looked_to is None or not (deleted or from_the_future):
            self._after = self._first
            self._batch.reset()
            return Ran(deleted)
        if not deleted and self._after == self._first:
            self._first = looked_to
        self._after = looked_to
        self._batch.grow()
        return Ran(deleted, more=True)


class _TooManyTransitions:
    """Transitions beyond the size that they may take, those first that were recorded first."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._batch = _Batch()
        self._bytes_each = BYTES_EACH_MIN

    def __call__(self, retention: Retention, now: int) -> Ran:
        size = self._audit.bytes()
        too_many = -((retention.history_bytes_max - size) // self._bytes_each)
        if too_many <= 0:
            self._batch.reset()
            return Ran(0)
        deleted = self._audit.trim_first(min(too_many, self._batch.size))
        if deleted:  # what they had taken tells how many more are too many; others may have been recorded meanwhile
            self._bytes_each = max((size - self._audit.bytes()) // deleted, BYTES_EACH_MIN)
        self._batch.grow()
        return Ran(deleted, more=deleted > 0)


class _Letters:
    """Dead letters that are too old or too many. That some have expired is said, and nothing of what they held."""

    def __init__(self, expire: ExpireLetters) -> None:
        self._expire = expire

    def __call__(self, retention: Retention, now: int) -> Ran:
        before = now - int(retention.dead_letters_days * DAY_MS)
        expired = self._expire(before, LETTERS_MAX, limit=LETTERS_AT_ONCE)
        if expired:
            log.warning("dead letters have expired", letters=expired)
        return Ran(expired, more=expired == LETTERS_AT_ONCE)


class _GoneLetters:
    """The record of letters that have gone is kept as long as letters, and as long as rows remember producers."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    def __call__(self, retention: Retention, now: int) -> Ran:
        before = now - max(int(retention.dead_letters_days * DAY_MS), RETENTION_MS)
        forgotten = self._dead_letters.forget(before, GONE_LETTERS_MAX, limit=LETTERS_AT_ONCE)
        return Ran(forgotten, more=forgotten == LETTERS_AT_ONCE)


class _OldFindings:
    """Findings that are too old or too many. There are few, so all that are go at once."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def __call__(self, retention: Retention, now: int) -> Ran:
        old = self._findings.trim(now - int(retention.findings_days * DAY_MS))
        return Ran(old + self._findings.bound(FINDINGS_MAX))


def old_beginning(times: Sequence[tuple[int, int | None]], before: int) -> int:
    """The position of the last item, of those at the beginning, that is from before a time (ms); 0 if none is.

    One without a time goes with what lies behind it.
    """
    old = 0
    for position, at in times:
        if at is not None and at >= before:
            break
        if at is not None:
            old = position
    return old
