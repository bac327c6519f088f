"""Waiting for a condition, with a limit: no test sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 60.0


def wait_until(condition: Callable[[], bool], what: str = "it did not come about in time") -> None:
    """Wait for a condition; `what` is said if it does not come about."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
