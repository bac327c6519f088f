"""Shortest paths between two vertices of the graph, by breadth-first search from both ends.

Searching from both ends looks at two neighbourhoods of half the distance instead of one of the whole (Pohl 1971,
"Bi-directional search"). Each step widens the smaller one by a whole layer, asked for in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playerstate.errors import SearchTooWide
from playerstate.ports.graph import Graph

Neighbours = Callable[[Sequence[str], str], dict[str, set[str]]]

BATCH_SIZE = 256


def shortest_path(
    graph: Graph, start: str, end: str, label: str, *, edges_max: int = 6, vertices_max: int = 100_000
) -> list[str] | None:
    """A shortest path along edges of a label in their direction, as vertices from `start` to `end`.

    None if there is none of at most `edges_max` edges. The same graph gives the same path on every backend. Raises
    `SearchTooWide` when more than `vertices_max` vertices were met.
    """
    if start == end:
        return [start]
    ahead = _Side(start, graph.targets, label)
    back = _Side(end, graph.sources, label)
    for _ in range(edges_max):
        side, other = (ahead, back) if len(ahead.layer) <= len(back.layer) else (back, ahead)
        if not side.layer:
            return None
        side.widen(vertices_max, elsewhere=len(other.via))
        # No shorter path was there before this layer, so every vertex where the sides meet lies on a shortest one.
        meeting = min((vertex for vertex in side.layer if vertex in other.via), default=None)
        if meeting is not None:
            return [*reversed(ahead.way_to(meeting)), *back.way_to(meeting)[1:]]
    return None


class _Side:
    """What one end has met: each vertex with the one that it was met from, and the outermost layer, sorted."""

    def __init__(self, origin: str, neighbours: Neighbours, label: str) -> None:
        self.origin = origin
        self._neighbours = neighbours
        self._label = label
        self.via: dict[str, str | None] = {origin: None}
        self.layer = [origin]

    def widen(self, vertices_max: int, *, elsewhere: int) -> None:
        """Meet the next layer. Of several vertices that lead to one, the first by name counts."""
        met: list[str] = []
        for start in range(0, len(self.layer), BATCH_SIZE):
            batch = self.layer[start : start + BATCH_SIZE]
            found = self._neighbours(batch, self._label)
            for vertex in batch:
                new = found[vertex] - self.via.keys()
                self.via.update(dict.fromkeys(new, vertex))
                met.extend(new)
            if len(self.via) + elsewhere > vertices_max:
                raise SearchTooWide(
                    f"The search met more than {vertices_max} vertices, the last of them around {self.origin!r}"
                )
        self.layer = sorted(met)

    def way_to(self, vertex: str) -> list[str]:
        """The vertices from one that was met back to the origin."""
        way = [vertex]
        while (before := self.via[way[-1]]) is not None:
            way.append(before)
        return way
