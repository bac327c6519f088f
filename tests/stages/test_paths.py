"""Shortest paths, against a plain search from one end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playerstate.backends.memory.graph import MemoryGraph
from playerstate.core.model import Key
from playerstate.core.schema import Edge
from playerstate.errors import SearchTooWide
from playerstate.ports.graph import EdgesOfKey
from playerstate.stages.paths import BATCH_SIZE, shortest_path

Digraph = dict[str, set[str]]

VERTICES = [f"v{n}" for n in range(12)]
digraphs = st.dictionaries(
    st.sampled_from(VERTICES), st.sets(st.sampled_from(VERTICES), max_size=4), max_size=len(VERTICES)
)


def graph_of(edges: Mapping[str, set[str]], *, backwards: bool = False) -> MemoryGraph:
    """A graph with these edges, told of in one order or the other."""
    graph = MemoryGraph()
    for start in sorted(edges, reverse=backwards):
        targets = sorted(edges[start], reverse=backwards)
        graph.sync([EdgesOfKey(Key(start, "friends"), Edge("FRIEND"), 1, targets)])
    return graph


def distance(edges: Digraph, start: str, end: str) -> int | None:
    """How many edges away `end` is, found by the plainest breadth-first search."""
    distances = {start: 0}
    waiting = deque([start])
    while waiting:
        vertex = waiting.popleft()
        for target in edges.get(vertex, ()):
            if target not in distances:
                distances[target] = distances[vertex] + 1
                waiting.append(target)
    return distances.get(end)


@given(digraphs, st.sampled_from(VERTICES), st.sampled_from(VERTICES), st.integers(0, 12))
@example({"v0": {"v1", "v2"}, "v1": {"v3"}, "v2": {"v3"}, "v3": {"v4"}}, "v0", "v4", 3)
@example({"v0": {"v1", "v2"}, "v1": {"v3"}, "v2": {"v3"}, "v3": {"v4"}}, "v0", "v4", 2)
def test_as_short_as_can_be(edges: Digraph, start: str, end: str, edges_max: int) -> None:
    """The path is real, follows the edges' direction, is a shortest, and is found exactly if it is within the bound."""
    path = shortest_path(graph_of(edges), start, end, "FRIEND", edges_max=edges_max)
    shortest = distance(edges, start, end)
    if shortest is None or shortest > edges_max:
        assert path is None
    else:
        assert path is not None
        assert (path[0], path[-1], len(path) - 1) == (start, end, shortest)
        assert all(after in edges[before] for before, after in pairwise(path))


@given(digraphs, st.sampled_from(VERTICES), st.sampled_from(VERTICES))
def test_the_same_path_every_time(edges: Digraph, start: str, end: str) -> None:
    """Of several shortest paths it is always the same, whatever order the edges were made in."""
    one, other = (graph_of(edges, backwards=backwards) for backwards in (False, True))
    assert shortest_path(one, start, end, "FRIEND") == shortest_path(other, start, end, "FRIEND")


def test_the_first_by_name() -> None:
    """Where several vertices would do, on either side, it is the one whose id comes first."""
    near, far = {f"m{n:02}" for n in range(30)}, {f"w{n:02}" for n in range(40)}
    edges = {"a": near, **{m: {"x"} for m in near}, "x": {"y"}, "y": far, **{w: {"z"} for w in far}}
    assert shortest_path(graph_of(edges), "a", "z", "FRIEND") == ["a", "m00", "x", "y", "w00", "z"]


def test_along_one_label_alone() -> None:
    """Edges of other labels do not count."""
    graph = graph_of({"a": {"b"}, "b": {"c"}})
    assert shortest_path(graph, "a", "c", "FRIEND") == ["a", "b", "c"]
    assert shortest_path(graph, "a", "c", "ENEMY") is None


def test_a_path_to_itself() -> None:
    """A vertex is no edges away from itself, also where a loop leads back to it."""
    assert shortest_path(graph_of({"a": {"a", "b"}, "b": {"a"}}), "a", "a", "FRIEND", edges_max=0) == ["a"]


def test_a_search_that_is_too_wide() -> None:
    """The search gives up at the bound, and says so, instead of answering that there is no path."""
    crowd = {f"fan-{n}" for n in range(100)}
    edges = {"star": crowd, **{fan: {f"{fan}-{n}" for n in range(10)} for fan in crowd}, "moon": crowd}
    graph = graph_of(edges)
    assert shortest_path(graph, "star", "fan-1-2", "FRIEND", vertices_max=103) == ["star", "fan-1", "fan-1-2"]
    for start, end in [("star", "fan-1-2"), ("star", "fan-1"), ("star", "star-2")]:
        with pytest.raises(SearchTooWide, match="more than 101 vertices, the last of them around 'star'"):
            shortest_path(graph, start, end, "FRIEND", vertices_max=101)


def test_asks_in_batches() -> None:
    """A wide layer is asked for in few calls, none of them too large; and both ends search, not one the whole way."""
    crowd = {f"fan-{n:04}" for n in range(1000)}
    graph = Counting(graph_of({"star": crowd, **{fan: {"sun"} for fan in crowd}, "moon": {"star"}}))
    assert shortest_path(graph, "moon", "sun", "FRIEND") == ["moon", "star", "fan-0000", "sun"]
    assert sum(graph.asked) <= 4
    graph.asked.clear()
    assert shortest_path(graph, "star", "nowhere", "FRIEND") is None
    assert sum(graph.asked) <= 2
    wide = {"a": crowd, **{fan: {f"{fan}-{n}" for n in range(2)} for fan in crowd}, "b": {"c"}}
    wide |= {f"{fan}-{n}": {"z"} for fan in crowd for n in range(2)} | {"z": {"c"}}
    graph = Counting(graph_of(wide))
    assert shortest_path(graph, "a", "c", "FRIEND") == ["a", "fan-0000", "fan-0000-0", "z", "c"]
    assert max(graph.asked) <= BATCH_SIZE
    assert len(graph.asked) < 20


class Counting(MemoryGraph):
    """A graph that notes how many vertices each call asked about."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph
        self.asked: list[int] = []

    def targets(self, player_ids: Sequence[str], label: str) -> dict[str, set[str]]:
        self.asked.append(len(player_ids))
        return self._graph.targets(player_ids, label)

    def sources(self, targets: Sequence[str], label: str) -> dict[str, set[str]]:
        self.asked.append(len(targets))
        return self._graph.sources(targets, label)
