"""Time, which comes in from outside like everything else."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970. It may jump, in either direction."""
        ...
