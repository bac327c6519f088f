"""The machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class SystemClock:
    """A `Clock`; `skew_ms`, in trials, says how wrong it is."""

    def __init__(self, skew_ms: Callable[[], int] = lambda: 0) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._skew_ms()
