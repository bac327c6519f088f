"""The machine's clock."""

from __future__ import annotations

import time


class SystemClock:
    """A `Clock`."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000
