"""The two ways of joining that all data types share: parts and dots (see `contract`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from playerstate.core.version_vector import VersionVector

P = TypeVar("P")
E = TypeVar("E")


def join_parts(
    a: Mapping[str, P], a_vector: VersionVector, b: Mapping[str, P], b_vector: VersionVector
) -> dict[str, P]:
    """Take each region's part from the row that counts more of that region's steps."""
    joined: dict[str, P] = {}
    for region in sorted(a.keys() | b.keys()):
        newer = a if a_vector.get(region, 0) >= b_vector.get(region, 0) else b
        if region in newer:
            joined[region] = newer[region]
    return joined


def join_dots(
    a: Mapping[str, Mapping[str, E]],
    a_vector: VersionVector,
    b: Mapping[str, Mapping[str, E]],
    b_vector: VersionVector,
    step: Callable[[E], int],
) -> dict[str, dict[str, E]]:
    """Join entries filed as `{region: {name: entry}}`, with one entry a region and name.

    `step` gives the number of the region's step that wrote an entry. Everything that one row has of a region and the
    other does not know lies beyond the smaller count, so only the row that counts more can have survivors.
    """
    joined: dict[str, dict[str, E]] = {}
    for region in sorted(a.keys() | b.keys()):
        a_count, b_count = a_vector.get(region, 0), b_vector.get(region, 0)
        more, less, known = (a, b, b_count) if a_count >= b_count else (b, a, a_count)
        other = less.get(region, {})
        kept = {
            name: entry
            for name, entry in more.get(region, {}).items()
            if step(entry) > known or (name in other and step(other[name]) == step(entry))
        }
        if kept:
            joined[region] = kept
    return joined
