"""What every graph guarantees to those who check it: what lies there, repairs, walks through the players."""

from __future__ import annotations

from collections import Counter

import pytest

from conformance.graph import ANNA, SCHEMA, WEIRD_IDS, edges_of
from conformance.suite import Suite, run_together
from playerstate.core.model import Key
from playerstate.core.schema import Edge
from playerstate.core.snapshots import Led
from playerstate.ports.graph import EdgesOfKey, Graph

PARTY, GUILD = Key("anna", "party"), Key("anna", "guild")
FRIEND, MEMBER = Edge("FRIEND"), Edge("MEMBER", "Guild")


def seen(graph: Graph, player_id: str = "anna") -> tuple[dict[str, int], Counter[Led]]:
    """What the graph has of a player: totals, and how often each edge is there."""
    (found,) = graph.inspect([player_id])
    return found.totals, Counter(found.edges)


def everybody(graph: Graph, limit: int = 3) -> list[str]:
    """All players that a walk meets, in its order."""
    met: list[str] = []
    while page := graph.players(met[-1] if met else "", limit):
        assert len(page) <= limit
        met += page
    return met


class GraphLooksSuite(Suite):
    """Stands beside `GraphSuite`, which has the fixtures."""

    def test_inspects_nothing(self, graph: Graph) -> None:
        """Of whom nothing is there, nothing is found; also beside others, and for nobody."""
        assert graph.inspect([]) == []
        graph.sync([edges_of(ANNA, 1, "bob")])
        assert graph.inspect(["bob", "carl"]) == [({}, []), ({}, [])]

    def test_inspects_all_keys_of_each_player(self, graph: Graph) -> None:
        """Totals also where there is no edge; an edge once for each key that makes it; as often as one is asked for."""
        graph.sync([edges_of(ANNA, 3, "bob", "carl"), edges_of(PARTY, 2, "bob"), edges_of(GUILD, 1, "bob")])
        graph.sync([edges_of(Key("bob", "friends"), 4), edges_of(Key("an", "friends"), 9, "anna")])
        anna = (
            {"friends": 3, "party": 2, "guild": 1},
            Counter(
                [
                    Led("friends", FRIEND, "bob"),
                    Led("friends", FRIEND, "carl"),
                    Led("party", FRIEND, "bob"),
                    Led("guild", MEMBER, "bob"),
                ]
            ),
        )
        assert seen(graph) == anna
        found = graph.inspect(["bob", "anna", "nobody", "anna"])
        assert [(one.totals, Counter(one.edges)) for one in found] == [
            ({"friends": 4}, Counter()),
            anna,
            ({}, {}),
            anna,
        ]

    def test_inspects_any_number_of_players(self, graph: Graph) -> None:
        """Each gets his own answer, in the order asked for."""
        graph.sync([edges_of(Key(f"player {n}", "friends"), n + 1, f"friend {n}") for n in range(45)])
        found = graph.inspect([f"player {n}" for n in reversed(range(45))])
        assert [one.totals["friends"] for one in found] == list(range(45, 0, -1))
        assert [one.edges[0].target for one in found] == [f"friend {n}" for n in reversed(range(45))]

    def test_inspects_odd_ids(self, graph: Graph) -> None:
        """Quotes, code, other scripts and long names are players and targets like others."""
        graph.sync([edges_of(Key(name, "friends"), 2, *WEIRD_IDS) for name in WEIRD_IDS])
        for name, found in zip(WEIRD_IDS, graph.inspect(WEIRD_IDS), strict=True):
            assert found.totals == {"friends": 2}, name
            assert {(led.state_key, led.target) for led in found.edges} == {("friends", end) for end in WEIRD_IDS}

    @pytest.mark.parametrize("total", [1, 3, 9])
    def test_repair_replaces_whatever_is_there(self, graph: Graph, total: int) -> None:
        """Edges and total become those given, also a lower one; other keys are left alone; it goes on from there."""
        graph.sync([edges_of(ANNA, 3, "bob", "carl"), edges_of(PARTY, 3, "bob")])
        assert graph.repair(ANNA, 3, edges_of(ANNA, total, "bob", "dora"))
        assert graph.edges(ANNA) == (total, ["bob", "dora"])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob", "dora"}}
        assert graph.sources(["carl", "bob"], "FRIEND") == {"carl": set(), "bob": {"anna"}}
        assert graph.edges(PARTY) == (3, ["bob"])
        assert graph.sync([edges_of(ANNA, total, "eve")]) == 0
        assert graph.sync([edges_of(ANNA, total + 1, "eve")]) == 1
        assert graph.edges(ANNA) == (total + 1, ["eve"])

    def test_repair_of_a_total_that_is_no_longer_there(self, graph: Graph) -> None:
        """Nothing is done: it has changed since it was seen, or there is something where nothing was seen."""
        graph.sync([edges_of(ANNA, 3, "bob")])
        for total in (0, 2, 4):
            assert not graph.repair(ANNA, total, edges_of(ANNA, 9, "dora"))
            assert not graph.repair(ANNA, total, None)
        assert not graph.repair(PARTY, 3, edges_of(PARTY, 9, "dora"))
        assert seen(graph) == ({"friends": 3}, Counter([Led("friends", FRIEND, "bob")]))

    def test_repair_of_what_is_not_there(self, graph: Graph) -> None:
        """A total of 0 stands for none: edges are made where there are none."""
        assert graph.repair(ANNA, 0, edges_of(ANNA, 2, "bob"))
        assert graph.edges(ANNA) == (2, ["bob"])
        assert graph.repair(PARTY, 0, None)
        assert graph.keys("", 9) == [ANNA]

    def test_repair_to_nothing(self, graph: Graph) -> None:
        """None of a key's edges and no total is left, as if it had never been synced; other keys' stay."""
        graph.sync(
            [edges_of(ANNA, 3, "bob", "carl"), edges_of(PARTY, 2, "bob"), edges_of(Key("bob", "friends"), 1, "x")]
        )
        assert graph.repair(ANNA, 3, None)
        assert seen(graph) == ({"party": 2}, Counter([Led("party", FRIEND, "bob")]))
        assert graph.keys("", 9) == [PARTY, Key("bob", "friends")]
        assert graph.edges(Key("bob", "friends")) == (1, ["x"])
        assert graph.sync([edges_of(ANNA, 1, "dora")]) == 1

    def test_repair_of_a_key_whose_edge_became_another(self, graph: Graph) -> None:
        """Edges of whatever label go."""
        graph.sync([EdgesOfKey(ANNA, MEMBER, 2, ["bob"])])
        assert graph.repair(ANNA, 2, edges_of(ANNA, 2, "bob"))
        assert seen(graph) == ({"friends": 2}, Counter([Led("friends", FRIEND, "bob")]))

    def test_repair_of_odd_ids(self, graph: Graph) -> None:
        """Ids are taken as they are, and what looks alike is left alone."""
        keys = [Key(name, "friends") for name in WEIRD_IDS]
        graph.sync([edges_of(key, 2, *WEIRD_IDS) for key in keys])
        for key in keys[::2]:
            assert graph.repair(key, 2, edges_of(key, 1, *WEIRD_IDS[:3]))
        for at, key in enumerate(keys):
            assert graph.edges(key) == ((2, sorted(WEIRD_IDS)) if at % 2 else (1, sorted(WEIRD_IDS[:3])))

    def test_repairs_race_with_syncs(self, graph: Graph) -> None:
        """Of a sync and a repair of the same total each is whole: total and edges always fit together."""

        def targets_at(total: int) -> list[str]:
            return sorted(f"friend-{n}" for n in range(total % 4))

        def sync() -> None:
            for total in range(1, 31):
                graph.sync([edges_of(ANNA, total, *targets_at(total))])

        def repair() -> None:
            for _ in range(40):
                total = graph.inspect(["anna"])[0].totals.get("friends", 0)
                graph.repair(ANNA, total, edges_of(ANNA, total, *targets_at(total)) if total % 3 else None)

        def look() -> None:
            for _ in range(40):
                totals, edges = seen(graph)
                assert sorted(led.target for led in edges.elements()) == targets_at(totals.get("friends", 0))

        run_together(sync, repair, look)

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_players_walks_through_everybody(self, graph: Graph, limit: int) -> None:
        """Who makes an edge, and who is but led to, once each, in the order of ids; other kinds are no players."""
        graph.sync(
            [
                edges_of(ANNA, 1, "bob", "only led to"),
                edges_of(Key("zoe", "guild"), 1, "owls"),
                edges_of(Key("玩家", "party"), 1, "anna", "😀"),
            ]
        )
        assert everybody(graph, limit) == ["anna", "bob", "only led to", "zoe", "玩家", "😀"]
        assert graph.players("bob", limit) == ["only led to", "zoe", "玩家", "😀"][:limit]
        assert graph.players("bo", 1) == ["bob"]

    def test_players_of_odd_ids(self, graph: Graph) -> None:
        """All but the empty one are met."""
        graph.sync([edges_of(Key(name, "friends"), 1, "x") for name in WEIRD_IDS])
        assert everybody(graph) == sorted({*WEIRD_IDS, "x"} - {""})

    def test_players_who_make_edges_no_more(self, graph: Graph) -> None:
        """They may be met or not; those who are led to, or make others, are."""
        graph.sync([edges_of(ANNA, 1, "bob"), edges_of(PARTY, 1, "carl")])
        graph.repair(ANNA, 1, None)
        assert {"anna", "carl"} <= set(everybody(graph)) <= {"anna", "bob", "carl"}
        assert SCHEMA.keys["party"].edge == FRIEND
