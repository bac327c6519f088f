"""`max_register`: the largest value ever set; for ranks and records that only rise."""

from __future__ import annotations

from collections.abc import Iterable

from playerstate.core.types.extremum import Extremum


class MaxRegister(Extremum):
    """Each region's part is the largest value set there."""

    name = "max_register"

    @staticmethod
    def best(values: Iterable[int]) -> int:
        """The largest."""
        return max(values)
