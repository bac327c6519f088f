"""What every graph guarantees."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.suite import Broken, BrokenInputError, Suite, run_together
from playerstate.core.model import Key
from playerstate.core.schema import parse_schema
from playerstate.ports.graph import EdgesOfKey, Graph

SCHEMA = parse_schema("""
[game]
name = "graphs"
version = 1

[keys.friends]
type = "set"
edge = { label = "FRIEND" }

[keys.party]
type = "set"
edge = { label = "FRIEND" }

[keys.guild]
type = "register"
edge = { label = "MEMBER", to = "Guild" }

[keys.patron]
type = "register"
edge = { label = "MEMBER", to = "Player" }

[keys.enemies]
type = "set"
edge = { label = "ORDER", to = "Match" }
""")

WEIRD_IDS = [
    "",
    " ",
    "'",
    '"',
    "`",
    "\\",
    "\\'",
    "a'}) DETACH DELETE (n) //",
    "$id",
    "a#b",
    "#",
    "Anna",
    "anna",
    "na\u00efve",
    "nai\u0308ve",
    "玩家",
    "😀",
    "\uffee",
    "\u2028",
    "a\x00b",
    "a\x00c",
    "null",
    "7",
    "long" * 2000,
]

ANNA = Key("anna", "friends")

_unique = itertools.count()


def edges_of(key: Key, total: int, *targets: str) -> EdgesOfKey:
    """What a key's view at a total says, with the edge that the schema gives the key."""
    edge = SCHEMA.keys[key.state_key].edge
    assert edge is not None
    return EdgesOfKey(key, edge, total, list(targets))


class Deliveries(NamedTuple):
    """The targets of versions (player, state key, total), and the batches in which versions come."""

    targets: dict[tuple[str, str, int], list[str]]
    batches: list[list[tuple[str, str, int]]]


NAMES = ["a", "b", "c"]


@st.composite
def deliveries(draw: st.DrawFn) -> Deliveries:
    """A few versions of a few keys, in any order, some twice, some never."""
    versions = st.tuples(st.sampled_from(NAMES), st.sampled_from(["friends", "party", "guild"]), st.integers(1, 1000))
    targets = draw(st.dictionaries(versions, st.lists(st.sampled_from(NAMES), unique=True), min_size=1, max_size=12))
    batches = draw(st.lists(st.lists(st.sampled_from(sorted(targets)), max_size=6), min_size=1, max_size=5))
    return Deliveries(targets, batches)


class GraphSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Graph]:
        """Open the graph of `SCHEMA` that lies at a path, or make it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "graph"

    @pytest.fixture
    def graph(self, path: Path) -> Iterator[Graph]:
        with self.open(path) as graph:
            yield graph

    def test_nothing_is_there_at_first(self, graph: Graph) -> None:
        """Whatever is asked for, the answer is empty, and has a place for everything that was asked for."""
        assert graph.edges(ANNA) == (0, [])
        assert graph.targets(["anna", "bob"], "FRIEND") == {"anna": set(), "bob": set()}
        assert graph.sources(["anna"], "FRIEND") == {"anna": set()}
        assert graph.friends_of_friends("anna", "FRIEND", 10) == []
        assert graph.keys("", 10) == []
        assert graph.targets([], "FRIEND") == {}
        assert graph.sync([]) == 0

    def test_makes_the_edges_that_are_given(self, graph: Graph) -> None:
        """Each target is led to, from the player, under the key's label alone."""
        assert graph.sync([edges_of(ANNA, 3, "carl", "bob")]) == 1
        assert graph.edges(ANNA) == (3, ["bob", "carl"])
        assert graph.targets(["anna", "bob", "anna"], "FRIEND") == {"anna": {"bob", "carl"}, "bob": set()}
        assert graph.sources(["bob", "anna"], "FRIEND") == {"bob": {"anna"}, "anna": set()}
        assert graph.targets(["anna"], "MEMBER") == {"anna": set()}
        assert graph.edges(Key("anna", "party")) == (0, [])

    def test_follows_a_newer_version_exactly(self, graph: Graph) -> None:
        """Edges that are no longer given go, those that are stay or come; also when none are left, or all were gone."""
        for total, targets in enumerate(["bcd", "bde", "", "f", "bcd"], 1):
            assert graph.sync([edges_of(ANNA, total, *targets)]) == 1
            assert graph.edges(ANNA) == (total, list(targets))
            assert graph.targets(["anna"], "FRIEND") == {"anna": set(targets)}
            assert graph.sources(list("bcdef"), "FRIEND") == {t: {"anna"} if t in targets else set() for t in "bcdef"}

    def test_an_older_version_changes_nothing(self, graph: Graph) -> None:
        """A total that the graph has, or is beyond, is no reason to write, and is not counted."""
        graph.sync([edges_of(ANNA, 5, "bob")])
        assert graph.sync([edges_of(ANNA, 4, "carl"), edges_of(ANNA, 5, "carl"), edges_of(ANNA, 1)]) == 0
        assert graph.edges(ANNA) == (5, ["bob"])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob"}}

    @pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 300])))
    def test_the_newest_of_one_batch_wins(self, graph: Graph, order: Sequence[int]) -> None:
        """A key may come several times in one batch, in any order, and counts once."""
        assert graph.sync([edges_of(ANNA, total, f"friend-{total}", "bob") for total in order]) == 1
        assert graph.edges(ANNA) == (300, ["bob", "friend-300"])

    def test_order_and_duplication_do_not_matter(self, graph: Graph) -> None:
        """Whatever order and duplication versions come in, each key ends with the edges of the highest total."""

        @settings(max_examples=40, deadline=None)
        @given(deliveries())
        def check(delivered: Deliveries) -> None:
            world = f"{next(_unique)}-"  # vertices of its own for every example
            newest: dict[Key, EdgesOfKey] = {}
            for batch in delivered.batches:
                given_batch = [
                    edges_of(Key(world + player, state_key), total, *(world + t for t in delivered.targets[version]))
                    for version in batch
                    for player, state_key, total in [version]
                ]
                before = dict(newest)
                for edges in given_batch:
                    newest[edges.key] = max(edges, newest.get(edges.key, edges), key=lambda edges: edges.total)
                behind = sum(1 for key in newest if key not in before or before[key].total < newest[key].total)
                assert graph.sync(given_batch) == behind

            for key, last in newest.items():
                assert graph.edges(key) == (last.total, sorted(last.targets))
            for label, keys in {"FRIEND": {"friends", "party"}, "MEMBER": {"guild"}}.items():
                pairs = {(k.player_id, t) for k, last in newest.items() if k.state_key in keys for t in last.targets}
                names = [world + name for name in NAMES]
                assert graph.targets(names, label) == {n: {b for a, b in pairs if a == n} for n in names}
                assert graph.sources(names, label) == {n: {a for a, b in pairs if b == n} for n in names}

        check()

    def test_keys_with_edges_between_the_same_vertices(self, graph: Graph) -> None:
        """Two keys of one label each keep their own edge: one may go without the other."""
        party = Key("anna", "party")
        graph.sync([edges_of(ANNA, 1, "bob", "carl"), edges_of(party, 1, "bob")])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob", "carl"}}
        graph.sync([edges_of(ANNA, 2, "carl")])
        assert graph.edges(party) == (1, ["bob"])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob", "carl"}}
        assert graph.sources(["bob"], "FRIEND") == {"bob": {"anna"}}
        graph.sync([edges_of(party, 2)])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"carl"}}
        assert graph.sources(["bob"], "FRIEND") == {"bob": set()}

    def test_a_member_moves_to_another_guild(self, graph: Graph) -> None:
        """A register's edge moves with its value, and is gone when the player leaves."""
        guild = Key("anna", "guild")
        for total, targets in enumerate([["wolves"], ["owls"], []], 1):
            graph.sync([edges_of(guild, total, *targets), edges_of(Key("bob", "guild"), total, "wolves")])
            members = graph.sources(["wolves", "owls"], "MEMBER")
            assert members == {
                "wolves": {"bob"} | ({"anna"} if "wolves" in targets else set()),
                "owls": {"anna"} if "owls" in targets else set(),
            }

    def test_a_key_whose_edge_became_another(self, graph: Graph) -> None:
        """When a new schema gives a key another label or kind, its old edges go with its next version."""
        graph.sync([edges_of(ANNA, 1, "bob", "carl"), edges_of(Key("anna", "party"), 1, "bob")])
        member = SCHEMA.edge_keys()["guild"]
        assert graph.sync([EdgesOfKey(ANNA, member, 2, ["bob"])]) == 1
        assert graph.edges(ANNA) == (2, ["bob"])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob"}}
        assert graph.sources(["carl"], "FRIEND") == {"carl": set()}
        assert graph.targets(["anna"], "MEMBER") == {"anna": {"bob"}}

    def test_a_label_that_leads_to_several_kinds(self, graph: Graph) -> None:
        """A guild and a player of one id are two vertices; both are led to, and one may go without the other."""
        graph.sync([edges_of(Key("anna", "guild"), 1, "owls", "x"), edges_of(Key("anna", "patron"), 1, "bob", "x")])
        assert graph.targets(["anna"], "MEMBER") == {"anna": {"owls", "bob", "x"}}
        graph.sync([edges_of(Key("anna", "guild"), 2, "owls")])
        assert graph.targets(["anna"], "MEMBER") == {"anna": {"owls", "bob", "x"}}
        graph.sync([edges_of(Key("anna", "patron"), 2, "bob")])
        assert graph.targets(["anna"], "MEMBER") == {"anna": {"owls", "bob"}}

    def test_names_that_are_words_of_the_language(self, graph: Graph) -> None:
        """Labels and kinds may be called as the query language's own words."""
        enemies = Key("anna", "enemies")
        graph.sync([edges_of(enemies, 1, "bob", "carl"), edges_of(enemies, 2, "bob", "dora")])
        assert graph.targets(["anna"], "ORDER") == {"anna": {"bob", "dora"}}
        assert graph.sources(["dora"], "ORDER") == {"dora": {"anna"}}

    def test_ids_are_taken_as_they_are(self, graph: Graph) -> None:
        """Quotes, code, other scripts and long names are ids like others, as players and as targets."""
        keys = [Key(player_id, "friends") for player_id in WEIRD_IDS]
        assert graph.sync([edges_of(key, 1, *WEIRD_IDS) for key in keys]) == len(keys)
        assert graph.sync([edges_of(key, 2, *WEIRD_IDS[::2]) for key in keys]) == len(keys)
        for key in keys:
            assert graph.edges(key) == (2, sorted(WEIRD_IDS[::2]))
        assert graph.targets(WEIRD_IDS, "FRIEND") == {id_: set(WEIRD_IDS[::2]) for id_ in WEIRD_IDS}
        everyone, nobody = set(WEIRD_IDS), set[str]()
        assert graph.sources(WEIRD_IDS, "FRIEND") == {
            id_: everyone if at % 2 == 0 else nobody for at, id_ in enumerate(WEIRD_IDS)
        }
        assert graph.keys("", 1000) == sorted(keys, key=lambda key: f"{key.player_id}#friends")

    @pytest.mark.parametrize("label", ["FRIENDS", "friend", "Player", "Synced", "", "x`)-[", "a b"])
    def test_a_label_that_nothing_has(self, graph: Graph, label: str) -> None:
        """Asking for edges of a label that no key makes finds none, whatever the label is."""
        graph.sync([edges_of(ANNA, 1, "bob")])
        assert graph.targets(["anna"], label) == {"anna": set()}
        assert graph.sources(["bob"], label) == {"bob": set()}
        assert graph.friends_of_friends("anna", label, 10) == []

    def test_friends_of_friends(self, graph: Graph) -> None:
        """Exactly two edges away along their direction, not the player, no friend; sorted, no more than asked for."""
        graph.sync(
            [
                edges_of(ANNA, 1, "bob", "carl", "anna"),
                edges_of(Key("bob", "friends"), 1, "anna", "carl", "ed", "dora"),
                edges_of(Key("carl", "party"), 1, "dora", "finn"),
                edges_of(Key("dora", "friends"), 1, "gina"),
                edges_of(Key("hugo", "friends"), 1, "anna"),
            ]
        )
        assert graph.friends_of_friends("anna", "FRIEND", 10) == ["dora", "ed", "finn"]
        assert graph.friends_of_friends("anna", "FRIEND", 2) == ["dora", "ed"]
        assert graph.friends_of_friends("hugo", "FRIEND", 10) == ["bob", "carl"]
        assert graph.friends_of_friends("bob", "FRIEND", 10) == ["finn", "gina"]
        assert graph.friends_of_friends("gina", "FRIEND", 10) == []

    def test_friends_of_friends_pass_through_players_alone(self, graph: Graph) -> None:
        """Nothing leads on from a guild, though a player may be called the same; the far end may be of any kind."""
        graph.sync(
            [
                edges_of(Key("anna", "guild"), 1, "carl"),
                edges_of(Key("anna", "patron"), 1, "bob"),
                edges_of(Key("bob", "guild"), 1, "owls"),
                edges_of(Key("bob", "patron"), 1, "dora"),
                edges_of(Key("carl", "guild"), 1, "wolves"),
            ]
        )
        assert graph.friends_of_friends("anna", "MEMBER", 10) == ["dora", "owls"]
        assert graph.friends_of_friends("anna", "MEMBER", 1) == ["dora"]
        graph.sync([edges_of(Key("anna", "enemies"), 1, "bob"), edges_of(Key("bob", "enemies"), 1, "carl")])
        assert graph.friends_of_friends("anna", "ORDER", 10) == []

    @pytest.mark.parametrize("limit", [1, 2, 5, 1000])
    def test_keys_walks_through_everything(self, graph: Graph, limit: int) -> None:
        """Walking in pages meets every key once, also those without edges, in the order of their ids."""
        keys = [Key(p, k) for p in ("anna", "anna#", "ann", "Anna", "玩家", "😀") for k in ("friends", "party")]
        graph.sync([edges_of(key, 1, *(["bob"] if key.state_key == "party" else [])) for key in keys])
        met: list[Key] = []
        after = ""
        while page := graph.keys(after, limit):
            assert len(page) <= limit
            met += page
            after = f"{page[-1].player_id}#{page[-1].state_key}"
        assert met == sorted(keys, key=lambda key: f"{key.player_id}#{key.state_key}")

    def test_a_batch_that_cannot_be_read(self, graph: Graph) -> None:
        """A batch that fails while it is read has changed nothing."""
        with pytest.raises(BrokenInputError):
            graph.sync(Broken(edges_of(ANNA, 1, "bob")))
        assert graph.edges(ANNA) == (0, [])
        assert graph.targets(["anna"], "FRIEND") == {"anna": set()}

    def test_many_writers_and_readers_at_once(self, graph: Graph) -> None:
        """Versions that come from several threads end at the highest; nobody ever sees a total with other edges."""
        totals = range(1, 25)

        def targets_at(total: int) -> list[str]:
            return sorted(f"friend-{n}" for n in range(total % 5))

        def write(first: int) -> int:
            return sum(graph.sync([edges_of(ANNA, total, *targets_at(total))]) for total in totals[first::3])

        def read() -> list[int]:
            seen = []
            while not seen or seen[-1] < totals[-1]:
                total, targets = graph.edges(ANNA)
                assert targets == targets_at(total)
                seen.append(total)
            return seen

        *behind, seen = run_together(*(partial(write, first) for first in range(3)), read)
        assert 1 <= sum(behind) <= len(totals)
        assert seen == sorted(seen), "the graph went backwards"
        assert graph.edges(ANNA) == (totals[-1], targets_at(totals[-1]))

    def test_keeps_what_was_synced(self, durable: None, path: Path) -> None:
        """What was synced is there after closing and opening again, and goes on from there."""
        with self.open(path) as graph:
            graph.sync([edges_of(ANNA, 2, "bob", "carl"), edges_of(Key("anna", "guild"), 7, "owls")])
        with self.open(path) as graph:
            assert graph.edges(ANNA) == (2, ["bob", "carl"])
            assert graph.targets(["anna"], "MEMBER") == {"anna": {"owls"}}
            assert graph.sync([edges_of(ANNA, 1, "dora")]) == 0
            assert graph.sync([edges_of(ANNA, 3, "dora")]) == 1
            assert graph.edges(ANNA) == (3, ["dora"])
