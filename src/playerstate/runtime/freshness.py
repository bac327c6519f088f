"""A histogram of ages: how long after it was accepted an update could be seen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

BOUNDS_MS = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    12,
    15,
    20,
    25,
    30,
    40,
    50,
    75,
    100,
    150,
    200,
    300,
    500,
    1000,
    2000,
    5000,
    10000,
    60000,
)
"""Upper bounds of the buckets; one more takes what lies beyond."""


class Freshness:
    """Counts ages in milliseconds, and adds them up: `sum_ms`."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0

    def add(self, ages_ms: Iterable[int]) -> None:
        """Count ages; one below zero (a clock was set back) counts as zero."""
        for age in ages_ms:
            self._counts[bisect_left(BOUNDS_MS, age)] += 1
            self.sum_ms += max(age, 0)

    def buckets(self) -> dict[str, int]:
        """Upper bound -> how many; the last bound is `inf`."""
        bounds = [*map(str, BOUNDS_MS), "inf"]
        return dict(zip(bounds, self._counts, strict=True))


def quantile(buckets: Mapping[str, int], q: float) -> float | None:
    """An upper bound on the age below which the share `q` lies; None if nothing was counted."""
    wanted = q * sum(buckets.values())
    if not wanted:
        return None
    seen = 0
    for bound, count in buckets.items():
        seen += count
        if seen >= wanted:
            return float(bound)
    return None
