"""What a node knows of itself and of the machine that it runs on."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import version
from pathlib import Path

from playerstate.core.answers import ProcessStats
from playerstate.core.recent import RecentMax
from playerstate.ports.clock import Clock


class Vitals:
    """The readings of one node. `cache_restarts` is counted by whoever restarts it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.cache_restarts = 0
        self._version = version("playerstate")
        self._folder = folder
        self._clock = clock
        self._started_at = clock.now_ms()
        self._ahead_s = self._wall_ahead_s()
        self._jumps = RecentMax()

    def stats(self, *, worker_restarts: int, untrimmed_s: float) -> ProcessStats:
        """The readings now, with those that others have taken."""
        now_s = time.monotonic()
        before, self._ahead_s = self._ahead_s, self._wall_ahead_s()
        self._jumps.note(abs(self._ahead_s - before), now_s)
        size, free = self._disk()
        return ProcessStats(
            version=self._version,
            started_at=self._started_at,
            cpu_s=time.process_time(),
            clock_jump_s=round(self._jumps.value(now_s), 3),
            disk_bytes=size,
            disk_free_bytes=free,
            cache_restarts=self.cache_restarts,
            worker_restarts=worker_restarts,
            untrimmed_s=round(untrimmed_s, 3),
        )

    def _wall_ahead_s(self) -> float:
        """How far the time of day is ahead of a clock that nobody can set; what changes it is a clock that was set."""
        return self._clock.now_ms() / 1000 - time.monotonic()

    def _disk(self) -> tuple[int, int]:
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:  # the folder has gone, which stages will tell of
            return 0, 0
        return usage.total, usage.free
