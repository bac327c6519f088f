"""Version vectors and dots (Parker et al. 1983; dots after Preguiça et al. 2010).

A version vector maps a region to the number of that region's steps that a row contains. A *dot* `(region, n)` is one
step's place in it. A vector covers a dot when it counts at least that far, and so contains what the step did.

A vector is written `eu-west-1:4,us-east-1:12`: sorted, no zero entries; the empty vector is the empty string. Equal
vectors therefore have equal text, and the text alone serves as a lock, an ETag and a cache's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

from playerstate.errors import InvalidUpdate

VersionVector: TypeAlias = Mapping[str, int]
Dot: TypeAlias = tuple[str, int]


class Order(Enum):
    """How one vector stands to another."""

    EQUAL = "equal"
    BEFORE = "before"
    AFTER = "after"
    CONCURRENT = "concurrent"


def join(a: VersionVector, b: VersionVector) -> dict[str, int]:
    """The least vector that covers both."""
    joined = dict(a)
    for region, n in b.items():
        if n > joined.get(region, 0):
            joined[region] = n
    return joined


def covers(a: VersionVector, b: VersionVector) -> bool:
    """Whether everything that `b` counts is counted in `a` too."""
    return all(a.get(region, 0) >= n for region, n in b.items())


def compare(a: VersionVector, b: VersionVector) -> Order:
    """Where `a` stands as seen from `b`."""
    a_covers, b_covers = covers(a, b), covers(b, a)
    if a_covers and b_covers:
        return Order.EQUAL
    if a_covers:
        return Order.AFTER
    return Order.BEFORE if b_covers else Order.CONCURRENT


def total(vector: VersionVector) -> int:
    """How many steps the vector counts. It grows with every write of a row, in every region."""
    return sum(vector.values())


def later(version: str, than: str) -> bool:
    """Whether, of two versions of one region's row, this one is the later: every write of a row counts more steps."""
    return total(parse_vector(version)) > total(parse_vector(than))


def format_vector(vector: VersionVector) -> str:
    """The canonical text of a vector."""
    if len(vector) == 1:  # most keys live in one region: spare them the sort
        ((region, n),) = vector.items()
        return f"{region}:{n}" if n else ""
    return ",".join(f"{region}:{n}" for region, n in sorted(vector.items()) if n)


def parse_vector(text: str, *, where: str = "$") -> dict[str, int]:
    """Read a vector's text, in any order of regions.

    Raises `InvalidUpdate` for anything that `format_vector` could not have meant.
    """
    vector: dict[str, int] = {}
    if not text:
        return vector
    for part in text.split(","):
        region, colon, digits = part.rpartition(":")
        well_formed = colon and region and ":" not in region and digits.isascii() and digits.isdecimal()
        if not well_formed or len(digits) > 18 or region in vector or int(digits) == 0:
            raise InvalidUpdate(
                f"Expected a version such as `us-east-1:12`, got {part[:80]!r}",
                code="bad_version",
                where=where,
            )
        vector[region] = int(digits)
    return vector
