"""The row: one region's replica of one key, and the join of several."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Generic, TypeVar

import msgspec

from playerstate.core import producers
from playerstate.core.model import Cause, Side
from playerstate.core.types.contract import DataType
from playerstate.core.version_vector import join as join_vectors

S = TypeVar("S")


class Row(msgspec.Struct, Generic[S], array_like=True, frozen=True, gc=False):
    """What a region's vector says this row contains, it contains.

    `state` is in the shape of the key's data type, `memory` is the producer memory, `because` the updates that the
    latest write processed, `sides` the rows that it joined if it resolved a conflict. A row of a higher `epoch`
    supersedes the state of those below it (erasure), and of their memory all but the horizons.
    """

    wire_version: int
    type: str
    schema_version: int
    written_at: int
    epoch: int
    vector: dict[str, int]
    state: S
    memory: dict[str, producers.Part]
    because: list[Cause]
    sides: list[Side] = []


class Joined(msgspec.Struct, frozen=True, gc=False):
    """What several rows of one key contain together."""

    epoch: int
    vector: dict[str, int]
    state: Any
    memory: dict[str, producers.Part]


def join_rows(rows: Iterable[Row[Any]], data_type: DataType[Any]) -> Joined:
    """The join of any number of rows; of none, the empty key."""
    parts = [Joined(row.epoch, row.vector, row.state, row.memory) for row in rows]
    if not parts:
        return Joined(0, {}, data_type.empty(), {})
    return reduce(lambda a, b: _join(a, b, data_type), parts)


def _join(a: Joined, b: Joined, data_type: DataType[Any]) -> Joined:
    vector = join_vectors(a.vector, b.vector)
    if a.epoch != b.epoch:
        newer, older = (a, b) if a.epoch > b.epoch else (b, a)
        left = {region: producers.forgotten(part) for region, part in older.memory.items()}
        memory = producers.join(newer.memory, newer.vector, left, older.vector)
        return Joined(newer.epoch, vector, newer.state, memory)
    state = data_type.join(a.state, a.vector, b.state, b.vector)
    memory = producers.join(a.memory, a.vector, b.memory, b.vector)
    return Joined(a.epoch, vector, state, memory)
