"""A crew: the loops of some stages, in whatever process they run, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from playerstate.runtime.consumers import Consumer, Report
from playerstate.runtime.loop import Loop


class Role(StrEnum):
    """Which stages a crew runs; `LINK` stays in the node's own process, for the graph takes one process only."""

    APPLY = "apply"
    FOLLOW = "follow"
    LINK = "link"


class Crew:
    """Drives its consumers; what one of them has done may be work for the others, and for `on_progress`."""

    restarts = 0
    """Threads do not die alone."""

    def __init__(self, consumers: Sequence[Consumer], *, on_progress: Callable[[], None] = lambda: None) -> None:
        self._on_progress = on_progress
        self._loops = [Loop(consumer, on_progress=self._progress) for consumer in consumers]

    def start(self) -> None:
        """Begin."""
        for loop in self._loops:
            loop.start()

    def wake(self) -> None:
        """There may be something to do."""
        for loop in self._loops:
            loop.wake()

    def report(self) -> Report:
        """What the consumers have done, and whether all of them still run."""
        report = Report(alive=all(loop.alive for loop in self._loops))
        for loop in self._loops:
            report.stages[loop.consumer.name] = loop.consumer.stats
            loop.consumer.tell(report)
        return report

    def ensure_running(self) -> None:
        """Nothing: threads do not die alone."""

    def stop(self) -> None:
        """Finish the steps that are under way, and no others."""
        for loop in self._loops:
            loop.stop()

    def _progress(self) -> None:
        self.wake()
        self._on_progress()
