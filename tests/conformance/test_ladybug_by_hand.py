"""What only somebody else can do to the graph's folder: seen as it is, and put right for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.graph import ANNA, SCHEMA, edges_of
from conformance.graph_looks import FRIEND, MEMBER, PARTY, seen
from playerstate.backends.ladybug.database import Database
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.core.comparison import compare_graph
from playerstate.core.findings import Kind
from playerstate.core.model import Key, View
from playerstate.core.schema import Schema, parse_schema
from playerstate.core.snapshots import Led
from playerstate.errors import Unavailable

POOL_BYTES = 64 * 1024 * 1024
RIGHT = edges_of(ANNA, 3, "bob", "carl")
STORED = {"friends": View("anna", "friends", "a:2,b:1", msgspec.Raw(b'["bob","carl"]'))}
BOTH = [Led("friends", FRIEND, "bob"), Led("friends", FRIEND, "carl")]


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[LadybugGraph]:
    with closing(LadybugGraph(tmp_path / "graph", SCHEMA, buffer_pool_bytes=POOL_BYTES)) as graph:
        graph.sync([RIGHT, edges_of(Key("dora", "friends"), 1, "anna")])
        yield graph


def run(graph: LadybugGraph, text: str, **parameters: Any) -> None:
    with graph._database.transaction():
        graph._database.run(text, parameters)


def put_right(graph: LadybugGraph, schema: Schema = SCHEMA) -> list[Kind]:
    """Repair all of anna's that differs, as verification does; what it was. Nothing differs then."""
    kinds = []
    for one in compare_graph("anna", STORED, graph.inspect(["anna"])[0], schema, ()):
        assert graph.repair(one.key, int(one.found), RIGHT if one.key == ANNA else None), one
        kinds.append(one.kind)
    assert list(compare_graph("anna", STORED, graph.inspect(["anna"])[0], schema, ())) == []
    assert graph.targets(["anna", "dora"], "FRIEND") == {"anna": {"bob", "carl"}, "dora": {"anna"}}
    return kinds


def test_a_total_that_is_none(graph: LadybugGraph) -> None:
    """It counts as nothing: what comes by the normal way is taken, and so is a repair."""
    run(graph, "MATCH (s:Synced {id: 'anna#friends'}) SET s.total = null")
    assert put_right(graph) == [Kind.LAGGING]
    run(graph, "MATCH (s:Synced {id: 'anna#friends'}) SET s.total = null")
    assert graph.sync([RIGHT]) == 1
    assert graph.inspect(["anna"])[0].totals == {"friends": 3}


CREATE = "MATCH (a:Player {id: 'anna'}) MATCH (b:Player {id: 'bob'}) CREATE (a)-[:FRIEND"


def test_an_edge_without_a_key(graph: LadybugGraph) -> None:
    """It is nobody's, and goes; the key's own, between the same vertices, stays."""
    run(graph, f"{CREATE}]->(b)")
    assert seen(graph) == ({"friends": 3}, Counter([*BOTH, Led("", FRIEND, "bob")]))
    assert put_right(graph) == [Kind.ORPHAN]


@pytest.mark.parametrize("name", ["", "unknown", "a#b", "é'\"`", "friend", "enemies"])
def test_an_edge_of_a_key_that_makes_none(graph: LadybugGraph, name: str) -> None:
    """Whatever it is called."""
    run(graph, f"{CREATE} {{key: $key}}]->(b)", key=name)
    assert seen(graph)[1] == Counter([*BOTH, Led(name, FRIEND, "bob")])
    assert put_right(graph) == [Kind.ORPHAN]


def test_a_doubled_edge(graph: LadybugGraph) -> None:
    """It is counted as often as it is there, and is there once again."""
    run(graph, f"{CREATE} {{key: 'friends'}}]->(b)")
    assert seen(graph) == ({"friends": 3}, Counter([*BOTH, BOTH[0]]))
    assert graph.edges(ANNA) == (3, ["bob", "carl"])
    assert put_right(graph) == [Kind.DIVERGED]
    assert seen(graph) == ({"friends": 3}, Counter(BOTH))


def test_an_edge_of_the_key_to_another_kind(graph: LadybugGraph) -> None:
    """It is one too many, though the label is another."""
    run(graph, "CREATE (:Guild {id: 'owls'})")
    run(
        graph,
        "MATCH (a:Player {id: 'anna'}) MATCH (g:Guild {id: 'owls'}) CREATE (a)-[:MEMBER {key: 'friends'}]->(g)",
    )
    assert seen(graph)[1] == Counter([*BOTH, Led("friends", MEMBER, "owls")])
    assert put_right(graph) == [Kind.DIVERGED]
    assert graph.targets(["anna"], "MEMBER") == {"anna": set()}


def test_a_deleted_edge(graph: LadybugGraph) -> None:
    """The total says that it is there, and it is not."""
    run(graph, "MATCH (:Player {id: 'anna'})-[e:FRIEND]->(:Player {id: 'bob'}) DELETE e")
    assert put_right(graph) == [Kind.DIVERGED]


def test_a_deleted_vertex(graph: LadybugGraph) -> None:
    """With all its edges; it is made anew with those that are known."""
    run(graph, "MATCH (b:Player {id: 'bob'}) DETACH DELETE b")
    assert graph.players("", 9) == ["anna", "carl", "dora"]
    assert put_right(graph) == [Kind.DIVERGED]


def test_a_deleted_total(graph: LadybugGraph) -> None:
    """The edges are still there; they are seen, and not doubled by the repair."""
    run(graph, "MATCH (s:Synced {id: 'anna#friends'}) DELETE s")
    assert seen(graph) == ({}, Counter(BOTH))
    assert put_right(graph) == [Kind.LAGGING]
    assert seen(graph) == ({"friends": 3}, Counter(BOTH))


@pytest.mark.parametrize(
    ("total", "kind"), [(1, Kind.LAGGING), (99, Kind.AHEAD), (0, Kind.LAGGING), (-5, Kind.LAGGING)]
)
def test_another_total(graph: LadybugGraph, total: int, kind: Kind) -> None:
    """Lower or higher, it becomes the right one again, and what is written then is followed."""
    run(graph, "MATCH (s:Synced {id: 'anna#friends'}) SET s.total = $total", total=total)
    assert put_right(graph) == [kind]
    assert seen(graph) == ({"friends": 3}, Counter(BOTH))
    assert graph.sync([edges_of(ANNA, 4, "eve")]) == 1


def test_a_key_that_makes_no_edges_any_more(tmp_path: Path) -> None:
    """What an earlier schema's key has left is found with its total, and goes for good."""
    folder = tmp_path / "graph"
    with closing(LadybugGraph(folder, SCHEMA, buffer_pool_bytes=POOL_BYTES)) as graph:
        graph.sync([RIGHT, edges_of(PARTY, 8, "bob"), edges_of(Key("dora", "friends"), 1, "anna")])
    now = parse_schema('[game]\nname = "g"\nversion = 2\n[keys.friends]\ntype = "set"\nedge = { label = "FRIEND" }')
    with closing(LadybugGraph(folder, now, buffer_pool_bytes=POOL_BYTES)) as graph:
        assert seen(graph) == ({"friends": 3, "party": 8}, Counter([*BOTH, Led("party", FRIEND, "bob")]))
        assert put_right(graph, now) == [Kind.ORPHAN]
        assert graph.keys("", 9) == [ANNA, Key("dora", "friends")]


def test_a_repair_that_fails_half_way(graph: LadybugGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it has happened, whichever of its queries failed, and it may be tried again."""
    real, left = Database.run, [0]

    def fail(self: Database, text: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        left[0] -= "RETURN" not in text and "TRANSACTION" not in text and text != "COMMIT"
        if left[0] == 0:
            left[0] = -1
            return real(self, "MATCH (nowhere:Nowhere) RETURN nowhere")
        return real(self, text, parameters)

    for failing in range(1, 20):
        left[0] = failing
        with monkeypatch.context() as patch:
            patch.setattr(Database, "run", fail)
            try:
                assert graph.repair(ANNA, 3, edges_of(ANNA, 3, "eve"))
                break
            except Unavailable:
                pass
        assert seen(graph) == ({"friends": 3}, Counter(BOTH))
    assert failing > 5
    assert graph.edges(ANNA) == (3, ["eve"])
