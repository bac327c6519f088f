"""Python's cyclic collector, calmed for processes that make many small things and no cycles."""

from __future__ import annotations

import gc


def calm_collector() -> None:
    """Leave what is there at the start out of every collection, and collect seldom. For programs, not for libraries."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
