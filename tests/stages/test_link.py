"""The link stage: which edges a notice stands for, and that telling it in any order ends the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW_MS, REGION
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.core.model import Json, Key, Notice
from playerstate.core.schema import Edge, parse_schema
from playerstate.errors import Unavailable
from playerstate.ports.graph import EdgesOfKey
from playerstate.stages.link import Link, edges_of

SCHEMA = parse_schema("""
[game]
name = "links"
version = 1

[keys.gold]
type = "counter"

[keys.friends]
type = "set"
edge = { label = "FRIEND" }

[keys.guild]
type = "register"
edge = { label = "MEMBER", to = "Guild" }
""")


def notice(state_key: str, after: Json, *, total: int = 1, player_id: str = "anna") -> Notice:
    """What is told of a view that the region's step `total` has made."""
    version = f"{REGION}:{total}"
    return Notice(player_id, state_key, REGION, version, total, NOW_MS, msgspec.Raw(msgspec.json.encode(after)))


@pytest.mark.parametrize(
    ("state_key", "after", "targets"),
    [
        ("friends", ["bob", "carl"], ["bob", "carl"]),
        ("friends", [], []),
        ("friends", ['"', "玩家", ""], ['"', "玩家", ""]),
        ("guild", "owls", ["owls"]),
        ("guild", None, []),
        ("guild", 7, []),
        ("guild", True, []),
        ("guild", {"name": "owls"}, []),
        ("guild", ["owls", "wolves"], []),
    ],
)
def test_the_edges_of_a_view(state_key: str, after: Json, targets: list[str]) -> None:
    """A set leads to its elements; a register to its value if that is a text, otherwise nowhere."""
    edge = {"friends": Edge("FRIEND", "Player"), "guild": Edge("MEMBER", "Guild")}[state_key]
    expected = EdgesOfKey(Key("anna", state_key), edge, 9, targets)
    assert edges_of(notice(state_key, after, total=9), SCHEMA) == expected


@pytest.mark.parametrize("state_key", ["gold", "a key of another schema"])
def test_a_key_that_makes_no_edges(state_key: str) -> None:
    """A key without an edge, or one that the schema does not know, is passed over."""
    assert edges_of(notice(state_key, 5), SCHEMA) is None
    assert Link(SCHEMA, Unreachable()).handle([notice(state_key, 5)]) == 0


@given(st.data())
def test_any_order_and_duplication(data: st.DataObject) -> None:
    """However notices are shuffled, repeated and cut into batches, the graph ends at each key's newest view."""
    names = st.lists(st.sampled_from("abc"), unique=True)
    friends = data.draw(st.lists(names, min_size=1, max_size=5))
    guilds = data.draw(st.lists(st.sampled_from(["owls", "wolves", None]), min_size=1, max_size=5))
    notices = [
        *(notice("friends", view, total=total) for total, view in enumerate(friends, 1)),
        *(notice("guild", view, total=total) for total, view in enumerate(guilds, 1)),
    ]
    told = data.draw(st.permutations(notices + data.draw(st.lists(st.sampled_from(notices), max_size=5))))
    size = data.draw(st.integers(1, len(told)))
    graph = MemoryGraph()
    link = Link(SCHEMA, graph)
    for at in range(0, len(told), size):
        link.handle(told[at : at + size])
    assert graph.edges(Key("anna", "friends")) == (len(friends), sorted(friends[-1]))
    assert graph.edges(Key("anna", "guild")) == (len(guilds), [guilds[-1]] if guilds[-1] else [])


def test_counts_the_keys_that_were_behind() -> None:
    """What is told again is not counted again."""
    link = Link(SCHEMA, MemoryGraph())
    notices = [notice("friends", ["bob"]), notice("guild", "owls"), notice("gold", 1), notice("friends", ["bob"])]
    assert link.handle(notices) == 2
    assert link.handle(notices) == 0


def test_a_graph_that_does_not_answer() -> None:
    """The stage does not swallow it: the notices stay on the queue."""
    with pytest.raises(Unavailable):
        Link(SCHEMA, Unreachable()).handle([notice("friends", ["bob"])])


class Unreachable(MemoryGraph):
    """A graph that cannot be reached."""

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        raise Unavailable("no answer")
