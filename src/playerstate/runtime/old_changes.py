"""Which of the store's changes are too old to be kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from playerstate.core.wire import read_row_head
from playerstate.ports.clock import Clock
from playerstate.ports.store import Change, Changes
from playerstate.ports.stream import Checkpoints
from playerstate.runtime.retention import HOUR_MS, LOOK_EVERY_S, LOOKED_AT, old_beginning
from playerstate.settings import Retention

MARKS = 8
"""How many marks there are in the time that changes are kept: they are kept by an eighth of it longer at most."""


class _Mark(NamedTuple):
    ran_ms: int
    position: int


class Marks:
    """Where a log ended at times that have passed: what lies before a mark is older than it.

    So of that which does not say when it came, too, it is known when it is old. Time is what processes like this one
    have run altogether, which no clock that is wrong can change. It is kept among the checkpoints.
    """

    def __init__(self, checkpoints: Checkpoints, name: str, monotonic: Callable[[], float]) -> None:
        self._checkpoints = checkpoints
        self._name = name
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._ran_ms = checkpoints.load(f"{name}:ran")
        self._marks = [_Mark(*(checkpoints.load(of) for of in self._names(slot))) for slot in range(MARKS + 1)]

    def older_than(self, kept_ms: int, head: int) -> int:
        """Up to which position all is older than so long; 0 if that is not known. `head` is where the log ends now."""
        looked_at = self._monotonic()
        self._ran_ms += int((looked_at - self._looked_at) * 1000)
        self._looked_at = looked_at
        self._checkpoints.save(f"{self._name}:ran", self._ran_ms)
        for slot, mark in enumerate(self._marks):
            if mark.position > head:  # of a file that was there before this one
                self._put(slot, _Mark(0, 0))
        marks = [mark for mark in self._marks if mark.position]
        if head and all(self._ran_ms - mark.ran_ms >= kept_ms / MARKS for mark in marks):
            self._put(self._marks.index(min(self._marks)), _Mark(self._ran_ms, head))
        return max((mark.position for mark in marks if self._ran_ms - mark.ran_ms >= kept_ms), default=0)

    def _put(self, slot: int, mark: _Mark) -> None:
        """A crash in between leaves an earlier position with a later time, which is true as well."""
        self._marks[slot] = mark
        for name, value in zip(self._names(slot), mark, strict=True):
            self._checkpoints.save(name, value)

    def _names(self, slot: int) -> tuple[str, str]:
        return f"{self._name}:{slot}:ran", f"{self._name}:{slot}:position"


class OldChanges:
    """Which of the store's changes are too old to be kept, for the one that deletes them.

    A change of the region's own says when it was written. Another region's may have come long after, so it goes with
    an own one that lies behind it, or when it has been here for so long.
    """

    def __init__(
        self,
        changes: Changes,
        region: str,
        settings: Callable[[], Retention],
        clock: Clock,
        checkpoints: Checkpoints,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changes = changes
        self._region = region
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._marks = Marks(checkpoints, "changes-mark", monotonic)
        self._look_at = monotonic()
        self._told_from = 0

    def up_to(self) -> int:
        """The position of the last of those at the beginning that are; 0 if none is, or it is not time to look yet."""
        now_s = self._monotonic()
        if now_s < self._look_at:
            return 0
        kept_ms = int(self._settings().stream_hours * HOUR_MS)
        here_for_long = self._marks.older_than(kept_ms, self._changes.head())
        found = self._changes.read(0, LOOKED_AT)
        times = [(change.position, self._written_at(change)) for change in found]
        old = max(
            old_beginning(times, self._clock.now_ms() - kept_ms),
            max((change.position for change in found if change.position <= here_for_long), default=0),
        )
        still_there = old > 0 and found[0].position == self._told_from  # it was told, and somebody needs them still
        if not found or old < found[-1].position or still_there:
            self._look_at = now_s + LOOK_EVERY_S
        self._told_from = found[0].position if old else 0
        return old

    def _written_at(self, change: Change) -> int | None:
        return read_row_head(change.new).written_at if change.region == self._region else None
