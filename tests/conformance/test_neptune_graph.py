"""What the graph on Neptune guarantees beyond the port: retries, its requests, and what others did to it by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest

from aws.neptune_server import Fault, NeptuneServer, Request
from conformance.graph import ANNA, SCHEMA, WEIRD_IDS, edges_of
from conformance.graph_looks import FRIEND, GUILD, MEMBER, PARTY, seen
from conformance.suite import run_together
from playerstate.backends.aws import neptune as neptune_graph
from playerstate.backends.aws.clients import TRIES_MAX
from playerstate.backends.aws.neptune import NeptuneGraph
from playerstate.core.model import Key
from playerstate.core.schema import Edge, parse_schema
from playerstate.core.snapshots import Led
from playerstate.errors import InvariantViolated, NotNow, OutcomeUnknown, Unavailable
from playerstate.ports.graph import EdgesOfKey

BOTH = [Led("friends", FRIEND, "bob"), Led("friends", FRIEND, "carl")]


@pytest.fixture
def graph(neptune: NeptuneServer) -> Iterator[NeptuneGraph]:
    with closing(NeptuneGraph(neptune.endpoint(), SCHEMA)) as graph:
        yield graph


def requests_of(neptune: NeptuneServer, call: Any) -> list[Request]:
    """The requests that a call makes."""
    neptune.requests.clear()
    call()
    return list(neptune.requests)


def test_writers_that_conflict(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """Several writers of one key, through conflicts and throttles, end with the highest total and exactly its edges."""
    faults = [Fault.CONFLICT, Fault.THROTTLED, Fault.SAME_VERTEX, Fault.BROKEN_AFTER, Fault.LOST] * 4

    def targets_at(total: int) -> list[str]:
        return sorted(f"friend-{n}" for n in range(total % 5, 5 + total % 3))

    def write(totals: range) -> None:
        for total in totals:
            for _ in range(len(faults) + 1):  # one writer may meet more in a row than a call has tries
                with suppress(NotNow, OutcomeUnknown):
                    graph.sync([edges_of(ANNA, total, *targets_at(total))])
                    break

    neptune.faults = list(faults)
    run_together(*(partial(write, range(first, 25, 4)) for first in (1, 2, 3, 4)))
    assert neptune.faults == []
    assert graph.edges(ANNA) == (24, targets_at(24))
    assert seen(graph) == ({"friends": 24}, Counter(Led("friends", FRIEND, end) for end in targets_at(24)))


@pytest.mark.parametrize("fault", [Fault.BROKEN_AFTER, Fault.LOST, Fault.SILENT, Fault.GARBLED])
def test_a_sync_whose_answer_was_lost(neptune: NeptuneServer, fault: Fault) -> None:
    """It is repeated, which changes nothing, and tells what the first try did: also of keys without targets."""
    batch = [edges_of(ANNA, 2, "bob"), edges_of(PARTY, 1), edges_of(Key("bob", "friends"), 2, "anna")]
    with closing(NeptuneGraph(neptune.endpoint(answer_timeout_s=0.2), SCHEMA)) as graph:
        graph.sync([edges_of(Key("bob", "friends"), 2, "anna"), edges_of(ANNA, 1, "carl")])
        neptune.faults = [fault]
        requests = requests_of(neptune, lambda: graph.sync(batch) == 2 or pytest.fail("another number was told"))
        assert len(requests) == 2
        assert requests[0] == requests[1]
        assert graph.sync(batch) == 0
        assert seen(graph) == ({"friends": 2, "party": 1}, Counter(BOTH[:1]))


def test_a_repeat_that_comes_too_late(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """The same request once more, after a newer version was synced, does nothing and counts nothing."""
    (late,) = requests_of(neptune, lambda: graph.sync([edges_of(ANNA, 1, "bob", "carl")]))
    graph.sync([edges_of(ANNA, 2, "dora")])
    assert neptune.run(*late) == [{"taken": 0}]
    assert seen(graph) == ({"friends": 2}, Counter([Led("friends", FRIEND, "dora")]))


@pytest.mark.parametrize("edges", [edges_of(ANNA, 2, "dora"), None])
def test_a_repair_whose_answer_was_lost(neptune: NeptuneServer, graph: NeptuneGraph, edges: EdgesOfKey | None) -> None:
    """It is not repeated: it is said that nobody knows."""
    graph.sync([edges_of(ANNA, 3, "bob", "carl")])
    neptune.faults = [Fault.BROKEN_AFTER]
    with pytest.raises(OutcomeUnknown):
        graph.repair(ANNA, 3, edges)
    assert graph.edges(ANNA) == ((2, ["dora"]) if edges else (0, []))
    neptune.faults = [Fault.CONFLICT]
    assert graph.repair(ANNA, 2 if edges else 0, edges_of(ANNA, 5, "eve"))
    assert graph.edges(ANNA) == (5, ["eve"])


def test_a_repair_to_nothing_of_what_is_not_there(graph: NeptuneGraph) -> None:
    """Where no total is, none is forgotten: it is done only for who expected none."""
    assert not graph.repair(ANNA, 3, None)
    assert graph.repair(ANNA, 0, None)


def test_a_key_whose_label_became_another(graph: NeptuneGraph) -> None:
    """Its old edges go with its next version, also where they led to the same vertices."""
    graph.sync([edges_of(ANNA, 1, "bob", "carl")])
    patron = SCHEMA.edge_keys()["patron"]
    assert graph.sync([EdgesOfKey(ANNA, patron, 2, ["bob"])]) == 1
    assert seen(graph) == ({"friends": 2}, Counter([Led("friends", patron, "bob")]))


def test_a_conflict_that_stays(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """After a bounded number of tries the caller is told that nothing was done."""
    neptune.faults = [Fault.CONFLICT] * TRIES_MAX
    with pytest.raises(Unavailable, match="ConcurrentModification"):
        graph.sync([edges_of(ANNA, 1, "bob")])
    assert graph.edges(ANNA) == (0, [])


def every_call(graph: NeptuneGraph, player_id: str, targets: list[str]) -> None:
    """Every method, about a player and targets of any name, with and without something there."""
    for key in (Key(player_id, "friends"), Key(player_id, "guild")):
        graph.sync([edges_of(key, 1, *targets), edges_of(key, 2, *targets[1:])])
        graph.edges(key)
        graph.repair(key, 2, edges_of(key, 1, *targets))
    graph.inspect([player_id])
    graph.targets([player_id], "FRIEND")
    graph.sources([player_id], "MEMBER")
    graph.friends_of_friends(player_id, "FRIEND", 10)
    graph.players(player_id, 10)
    graph.keys(player_id, 10)
    graph.repair(Key(player_id, "guild"), 1, None)


def test_ids_are_parameters_alone(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """Whatever players and targets are called, the queries are those of harmless ones, letter by letter."""
    harmless = {one.query for one in requests_of(neptune, lambda: every_call(graph, "anna", ["bob", "carl"]))}
    for name in WEIRD_IDS:
        requests = requests_of(neptune, partial(every_call, graph, name, WEIRD_IDS[:-1]))
        assert {one.query for one in requests} == harmless, name
    assert not any("//" in query or "anna" in query for query in harmless)
    assert len(harmless) == 10


def test_no_number_stands_in_two_places(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """A number among the parameters is used once in its query: an engine's plan cache has mistaken others."""
    for query, parameters in requests_of(neptune, lambda: every_call(graph, "anna", ["bob", "carl"])):
        for name, value in parameters.items():
            if isinstance(value, int) and not isinstance(value, bool):
                assert query.count(f"${name}") == 1


@pytest.mark.parametrize("label", ["FRIENDS", "x`]->(n) DETACH DELETE n //", ""])
def test_an_unknown_label_is_not_asked_for(neptune: NeptuneServer, graph: NeptuneGraph, label: str) -> None:
    """A label comes from the schema or nowhere."""

    def ask() -> None:
        graph.targets(["anna"], label)
        graph.sources(["anna"], label)
        graph.friends_of_friends("anna", label, 10)

    assert requests_of(neptune, ask) == []


def test_reads_are_few_requests(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """What may be asked of many is asked at once, and what is to be of one moment is one request."""
    graph.sync([edges_of(Key(f"p{n}", "friends"), 1, f"p{n + 1}", f"p{n + 2}") for n in range(60)])
    players = [f"p{n}" for n in range(60)]
    expected = {f"p{n}": {f"p{n + 1}", f"p{n + 2}"} for n in range(60)}
    assert len(requests_of(neptune, lambda: graph.targets(players, "FRIEND"))) == 1
    assert len(requests_of(neptune, lambda: graph.sources(players, "FRIEND"))) == 1
    assert len(requests_of(neptune, lambda: graph.inspect(players))) == 2
    assert len(requests_of(neptune, lambda: graph.edges(ANNA))) == 1
    assert len(requests_of(neptune, lambda: graph.friends_of_friends("p1", "FRIEND", 10))) == 1
    assert graph.targets(players, "FRIEND") == expected
    assert requests_of(neptune, lambda: graph.targets([], "FRIEND")) == []


def test_hops_of_many_vertices(neptune: NeptuneServer, graph: NeptuneGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of several requests are answered as those of one; nobody is asked for twice."""
    monkeypatch.setattr(neptune_graph, "HOPS_AT_ONCE", 7)
    graph.sync([edges_of(Key(f"p{n}", "friends"), 1, f"p{n + 1}") for n in range(20)])
    players = [f"p{n}" for n in range(20)] * 2
    assert graph.targets(players, "FRIEND") == {f"p{n}": {f"p{n + 1}"} for n in range(20)}
    assert len(requests_of(neptune, lambda: graph.targets(players, "FRIEND"))) == 3


def test_a_batch_of_many_edges(neptune: NeptuneServer, graph: NeptuneGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes several requests, each of whole keys, and a bounded number of keys; of one that is too large, one."""
    monkeypatch.setattr(neptune_graph, "SYNC_EDGES_MAX", 10)
    monkeypatch.setattr(neptune_graph, "SYNC_KEYS_MAX", 3)
    sizes = [3, 0, 12, 7, 0, 0, 0, 1, 25]
    batch = [edges_of(Key(f"p{n}", "friends"), 1, *(f"t{i:02}" for i in range(size))) for n, size in enumerate(sizes)]
    requests = requests_of(neptune, lambda: graph.sync(batch) == len(sizes) or pytest.fail("some were not taken"))
    assert [[len(row["targets"]) for row in one.parameters["rows"]] for one in requests] == [
        [3, 0],
        [12],
        [7, 0, 0],
        [0, 1],
        [25],
    ]
    for edges in batch:
        assert graph.edges(edges.key) == (1, edges.targets)


def test_a_large_key(graph: NeptuneGraph) -> None:
    """A key of thousands of edges is synced whole, and so is its next version, which shares most of them."""
    names = [f"friend-{n:05}" for n in range(3000)]
    graph.sync([edges_of(ANNA, 1, *names[:2900])])
    graph.sync([edges_of(ANNA, 2, *names[100:])])
    assert graph.edges(ANNA) == (2, names[100:])


def test_an_edge_that_the_schema_does_not_have(neptune: NeptuneServer, graph: NeptuneGraph) -> None:
    """An edge that was not declared is a mistake of the caller's, and nothing of its batch is written."""
    batch = [edges_of(ANNA, 1, "bob"), EdgesOfKey(PARTY, Edge("NONE"), 1, ["x"])]
    with pytest.raises(InvariantViolated, match="does not declare"):
        graph.sync(batch)
    assert neptune.requests == []


def test_ids_that_look_like_those_of_other_vertices(graph: NeptuneGraph) -> None:
    """A player, a guild and a key's total are never one vertex, however they are called."""
    graph.sync(
        [
            edges_of(Key("x", "friends"), 1, "Player#x", "Synced#x#friends", "x#friends"),
            edges_of(Key("x", "guild"), 2, "x", "Player#x", "x#friends"),
            edges_of(Key("Player#x", "friends"), 3, "x"),
        ]
    )
    assert graph.edges(Key("x", "friends")) == (1, sorted(["Player#x", "Synced#x#friends", "x#friends"]))
    assert graph.sources(["x", "Player#x"], "MEMBER") == {"x": {"x"}, "Player#x": {"x"}}
    assert graph.sources(["x", "Player#x"], "FRIEND") == {"x": {"Player#x"}, "Player#x": {"x"}}
    assert graph.players("", 9) == sorted(["Player#x", "Synced#x#friends", "x", "x#friends"])
    assert [one.totals for one in graph.inspect(["x", "Player#x"])] == [{"friends": 1, "guild": 2}, {"friends": 3}]


def by_hand(neptune: NeptuneServer, query: str) -> None:
    neptune.run(query, {})


EDGE = "MATCH (a:Player {id: 'anna'}) MATCH (b:Player {id: 'bob'}) CREATE (a)-[:FRIEND %s]->(b)"


@pytest.fixture
def right(graph: NeptuneGraph) -> NeptuneGraph:
    """A graph with edges that are about to be spoilt."""
    graph.sync([edges_of(ANNA, 3, "bob", "carl"), edges_of(PARTY, 3, "bob"), edges_of(GUILD, 1, "owls")])
    return graph


@pytest.mark.parametrize(
    ("spoil", "met", "total"),
    [
        (EDGE % "{key: 'friends'}", [*BOTH, BOTH[0]], 3),
        ("MATCH (:Player {id: 'anna'})-[edge {key: 'friends'}]->(:Player {id: 'bob'}) DELETE edge", BOTH[1:], 3),
        ("MATCH (synced:Synced {id: 'anna#friends'}) DELETE synced", BOTH, None),
        ("MATCH (synced:Synced {id: 'anna#friends'}) SET synced.total = null", BOTH, None),
        ("MATCH (synced:Synced {id: 'anna#friends'}) SET synced.total = 99", BOTH, 99),
        (
            "MATCH (a:Player {id: 'anna'}) MATCH (g:Guild {id: 'owls'}) CREATE (a)-[:MEMBER {key: 'friends'}]->(g)",
            [*BOTH, Led("friends", MEMBER, "owls")],
            3,
        ),
    ],
    ids=["doubled", "deleted", "no vertex", "no total", "another total", "another kind"],
)
def test_what_was_done_by_hand(
    neptune: NeptuneServer, right: NeptuneGraph, spoil: str, met: list[Led], total: int | None
) -> None:
    """It is seen as it is, and a repair puts it right for good, and nothing else."""
    by_hand(neptune, spoil)
    others = {"party": 3, "guild": 1}
    kept = [Led("party", FRIEND, "bob"), Led("guild", MEMBER, "owls")]
    assert seen(right) == (others | ({} if total is None else {"friends": total}), Counter([*met, *kept]))
    assert right.repair(ANNA, total or 0, edges_of(ANNA, 3, "bob", "carl"))
    assert seen(right) == ({"friends": 3, **others}, Counter([*BOTH, *kept]))
    assert right.sync([edges_of(ANNA, 4, "eve")]) == 1
    assert right.repair(ANNA, 4, None)
    assert seen(right) == (others, Counter(kept))


def test_an_edge_without_a_key(neptune: NeptuneServer, right: NeptuneGraph) -> None:
    """It is nobody's, and goes; the keys' own stay."""
    before = seen(right)
    by_hand(neptune, EDGE % "")
    assert seen(right)[1] == before[1] + Counter([Led("", FRIEND, "bob")])
    assert right.repair(Key("anna", ""), 0, None)
    assert seen(right) == before


def test_a_total_that_is_none_is_behind(neptune: NeptuneServer, right: NeptuneGraph) -> None:
    """What comes by the normal way is taken, and edges that are there are not doubled."""
    for spoil in ("SET synced.total = null", "SET synced.total = -5", "DELETE synced"):
        by_hand(neptune, f"MATCH (synced:Synced {{id: 'anna#friends'}}) {spoil}")
        assert right.sync([edges_of(ANNA, 3, "bob", "carl")]) == 1
        assert seen(right)[1] == Counter([*BOTH, Led("party", FRIEND, "bob"), Led("guild", MEMBER, "owls")])


def test_a_key_of_an_earlier_schema(right: NeptuneGraph, neptune: NeptuneServer) -> None:
    """What it has left is found with its total, by whoever knows nothing of it, and goes for good."""
    now = parse_schema('[game]\nname = "g"\nversion = 2\n[keys.friends]\ntype = "set"\nedge = { label = "FRIEND" }')
    with closing(NeptuneGraph(neptune.endpoint(), now)) as graph:
        assert seen(graph)[0] == {"friends": 3, "party": 3, "guild": 1}
        assert graph.repair(GUILD, 1, None)
        assert seen(graph) == ({"friends": 3, "party": 3}, Counter([*BOTH, Led("party", FRIEND, "bob")]))
