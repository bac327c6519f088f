"""What parts hold of a player, as verification meets it: as it lies there, wrong or right."""

from __future__ import annotations

from typing import NamedTuple

from playerstate.core.schema import Edge


class Entry(NamedTuple):
    """What the cache has under one key. A version or a value may stand alone, where somebody else wrote or deleted.

    Names and versions that are no UTF-8 have their bytes as surrogates (PEP 383), so that they can be repaired.
    """

    version: str | None
    value: bytes | None


class Inspected(NamedTuple):
    """Everything that the cache has of a player, by state key.

    `complete` says that a key that is not there is claimed to be unwritten.
    """

    entries: dict[str, Entry]
    complete: bool


class Led(NamedTuple):
    """An edge out of a player. `state_key` is that of the key which made it, "" for none."""

    state_key: str
    edge: Edge
    target: str


class PlayerEdges(NamedTuple):
    """All that the graph has of a player's keys: the total of each, and every edge, as often as it is there."""

    totals: dict[str, int]
    edges: list[Led]


class Copy(NamedTuple):
    """A stored row, and the version that it says it has."""

    version: str
    body: bytes
