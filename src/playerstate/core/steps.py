"""Which steps of each region are known: ranges of whole numbers, by region."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""The first and the last of a run of steps."""


class Steps:
    """A set of steps. What comes in runs takes next to no room, in whatever order it comes."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[Range]] = {}

    def add(self, region: str, n: int) -> bool:
        """Add a step; whether it is new."""
        ranges = self._ranges.setdefault(region, [])
        at = bisect_right(ranges, (n, n))
        low, high = n, n
        if at < len(ranges) and ranges[at][0] <= n + 1:
            if ranges[at][0] <= n:
                return False
            high = ranges.pop(at)[1]
        if at and ranges[at - 1][1] >= n - 1:
            if ranges[at - 1][1] >= n:
                return False
            at -= 1
            low = ranges.pop(at)[0]
        ranges.insert(at, (low, high))
        return True

    def first(self, region: str) -> int | None:
        """The first known step of a region."""
        ranges = self._ranges.get(region)
        return ranges[0][0] if ranges else None

    def last(self, region: str) -> int:
        """The last known step of a region; 0 if there is none."""
        ranges = self._ranges.get(region)
        return ranges[-1][1] if ranges else 0

    def missing(self, named: Mapping[str, int], after: Mapping[str, int]) -> dict[str, list[Range]]:
        """The steps that are not known, by region: of those up to `named`, beyond those up to `after`."""
        missing: dict[str, list[Range]] = {}
        for region, last in named.items():
            gaps, next_one = [], after.get(region, 0) + 1
            for low, high in self._ranges.get(region, []):
                if low > next_one:
                    gaps.append((next_one, min(low - 1, last)))
                next_one = max(next_one, high + 1)
            if next_one <= last:
                gaps.append((next_one, last))
            if gaps:
                missing[region] = gaps
        return missing
