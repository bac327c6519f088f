"""The largest of what was seen lately."""

from __future__ import annotations

WINDOW_S = 30


class RecentMax:
    """The largest value noted in the last minute, or a little less: in the present half of it, and in the one before.

    Times are in seconds, of any clock; one that is set back forgets. May be used by several threads: at worst a value
    is missed that is noted in the moment in which the halves change.
    """

    def __init__(self) -> None:
        self._half = 0
        self._now = 0.0
        self._before = 0.0

    def note(self, value: float, at_s: float) -> None:
        """Note a value; none below zero counts."""
        self._turn(at_s)
        self._now = max(self._now, value)

    def value(self, at_s: float) -> float:
        """The largest, 0.0 if there is none."""
        self._turn(at_s)
        return max(self._now, self._before)

    def _turn(self, at_s: float) -> None:
        half = int(at_s // WINDOW_S)
        if half != self._half:
            self._before = self._now if half == self._half + 1 else 0.0
            self._now = 0.0
            self._half = half
