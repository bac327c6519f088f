"""What is to be synced, as a graph takes it: each key once, in parts of a bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from playerstate.core.model import Key
from playerstate.core.schema import Edge
from playerstate.errors import InvariantViolated
from playerstate.ports.graph import EdgesOfKey


def newest(batch: Sequence[EdgesOfKey], declared: Collection[Edge]) -> list[EdgesOfKey]:
    """Each key's edges at its highest total. Raises `InvariantViolated` for edges that the schema does not declare."""
    found: dict[Key, EdgesOfKey] = {}
    for edges in batch:
        if edges.edge not in declared:
            raise InvariantViolated(f"{edges.key.state_key} makes edges that the schema does not declare: {edges.edge}")
        if edges.key not in found or found[edges.key].total < edges.total:
            found[edges.key] = edges
    return list(found.values())


def parts(batch: Iterable[EdgesOfKey], edges_max: int) -> Iterator[list[EdgesOfKey]]:
    """The keys in their order, in parts that have at most so many edges, or one key."""
    part: list[EdgesOfKey] = []
    size = 0
    for edges in batch:
        if part and size + len(edges.targets) > edges_max:
            yield part
            part, size = [], 0
        part.append(edges)
        size += len(edges.targets)
    if part:
        yield part
