"""`min_register`: the smallest value ever set; for best times."""

from __future__ import annotations

from collections.abc import Iterable

from playerstate.core.types.extremum import Extremum


class MinRegister(Extremum):
    """Each region's part is the smallest value set there."""

    name = "min_register"

    @staticmethod
    def best(values: Iterable[int]) -> int:
        """The smallest."""
        return min(values)
