"""How functions tell figures: names and values, with the dimensions that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Emit(Protocol):
    """Takes figures of one set of dimensions: a number, or all of several numbers whose distribution matters."""

    def __call__(self, values: Mapping[str, float | Sequence[float]], **dimensions: str) -> None:
        """Tell them."""
        ...


def silent(values: Mapping[str, float | Sequence[float]], **dimensions: str) -> None:
    """Tell nobody."""
