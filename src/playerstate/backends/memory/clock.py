"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

import threading


class ManualClock:
    """A `Clock` in milliseconds since 1970, moved by hand, in either direction."""

    def __init__(self, now_ms: int = 0) -> None:
        self._lock = threading.Lock()
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """What the clock stands at."""
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Jump to a time."""
        with self._lock:
            self._now_ms = now_ms

    def advance(self, ms: int) -> None:
        """Let `ms` milliseconds pass."""
        with self._lock:
            self._now_ms += ms
