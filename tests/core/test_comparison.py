"""The comparison: hand-made snapshots, one table for each kind of difference, and what is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from playerstate.core.comparison import (
    Difference,
    Wrong,
    compare_cache,
    compare_copies,
    compare_graph,
    compare_minimum,
    targets_of,
    which_is_wrong,
)
from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, copies_in
from playerstate.core.model import Key, View
from playerstate.core.schema import Edge, parse_schema
from playerstate.core.snapshots import Copy, Entry, Inspected, Led, PlayerEdges

SCHEMA = parse_schema("""
    [game]
    name = "compared"
    version = 1
    [keys.gold]
    type = "bounded_counter"
    minimum = 5
    [keys.bag]
    type = "inventory"
    [keys.name]
    type = "register"
    [keys.friends]
    type = "set"
    edge = { label = "FRIEND" }
    [keys.guild]
    type = "register"
    edge = { label = "MEMBER", to = "Guild" }
""")
FRIEND, MEMBER = Edge("FRIEND"), Edge("MEMBER", "Guild")
GOLD, FRIENDS, GUILD = Key("ada", "gold"), Key("ada", "friends"), Key("ada", "guild")
HUGE = "a:1234567890123456789"
ELSEWHERE = copies_in("b")


def view(version: str, value: str = "7", state_key: str = "gold") -> View:
    return View("ada", state_key, version, msgspec.Raw(value.encode()))


def found_in_cache(
    stored: View | None, cached: Entry | None, *, complete: bool = False, unknown: str = ""
) -> Difference | None:
    views = {stored.state_key: stored} if stored else {}
    name = stored.state_key if stored else "gold"
    entries = {name: cached} if cached else {}
    found = list(compare_cache("ada", views, Inspected(entries, complete), {unknown} - {""}))
    assert len(found) <= 1
    return found[0] if found else None


def found_in_graph(
    *stored: View, totals: Mapping[str, int] = {}, edges: list[Led] | None = None, unknown: str = ""
) -> list[Difference]:
    views = {one.state_key: one for one in stored}
    return list(compare_graph("ada", views, PlayerEdges(dict(totals), edges or []), SCHEMA, {unknown} - {""}))


@pytest.mark.parametrize(
    ("stored", "cached", "complete"),
    [
        (view("a:3"), Entry("a:3", b"7"), True),
        (view("a:3,b:1"), Entry("a:3,b:1", b"7"), False),
        (view("a:3"), None, False),
        (None, None, True),
        (view("a:3", '{"x":1,"y":[1,{"p":2,"q":3}]}'), Entry("a:3", b'{"y": [1, {"q":3,"p":2}], "x":1}'), False),
        (view("a:3", "123456789012345678901234567890"), Entry("a:3", b"123456789012345678901234567890"), False),
    ],
    ids=["the same", "of two regions", "a miss", "unwritten", "another order of names", "beyond 64 bits"],
)
def test_cache_is_consistent(stored: View | None, cached: Entry | None, complete: bool) -> None:
    """What says the same is no difference, nor is what the cache does not claim to have."""
    assert found_in_cache(stored, cached, complete=complete) is None


@pytest.mark.parametrize(
    ("stored", "cached", "kind", "found"),
    [
        (view("a:3"), Entry("a:2", b"6"), Kind.LAGGING, "a:2"),
        (view("a:3,b:1"), Entry("a:3", b"7"), Kind.LAGGING, "a:3"),
        (view("a:10"), Entry("a:9", b"7"), Kind.LAGGING, "a:9"),
        (view("a:3"), Entry("", b"7"), Kind.LAGGING, ""),
        (view("a:3"), None, Kind.LAGGING, ""),
        (view("a:3"), Entry("a:3", None), Kind.MISSING, "a:3"),
        (view("a:3"), Entry(None, b"7"), Kind.MISSING, ""),
        (view("a:3"), Entry("a:3", b"8"), Kind.DIVERGED, "a:3"),
        (view("a:3"), Entry("a:3", b"7.0"), Kind.DIVERGED, "a:3"),
        (view("a:3", "[1,2]"), Entry("a:3", b"[2,1]"), Kind.DIVERGED, "a:3"),
        (view("a:3", '{"x":1}'), Entry("a:3", b'{"x":1,"y":2}'), Kind.DIVERGED, "a:3"),
        (view("a:3"), Entry("a:3", b"\xff"), Kind.DIVERGED, "a:3"),
        (view("a:3"), Entry("a:3", b'{"x":'), Kind.DIVERGED, "a:3"),
        (view("a:3"), Entry("a:3", b"[" * 100_000), Kind.DIVERGED, "a:3"),
        (view("a:3,b:1"), Entry("b:1,a:3", b"7"), Kind.DIVERGED, "b:1,a:3"),
        (view("a:3"), Entry("banana", b"7"), Kind.DIVERGED, "banana"),
        (view("a:3"), Entry(HUGE, b"7"), Kind.DIVERGED, HUGE),
        (view("a:3"), Entry("a:4", b"7"), Kind.AHEAD, "a:4"),
        (view("a:3"), Entry("a:3,b:1", b"7"), Kind.AHEAD, "a:3,b:1"),
        (view("a:3"), Entry("b:1", b"7"), Kind.AHEAD, "b:1"),
        (None, Entry("a:3", b"7"), Kind.ORPHAN, "a:3"),
        (None, Entry(None, b"7"), Kind.ORPHAN, ""),
        (None, Entry("a:3", None), Kind.ORPHAN, "a:3"),
    ],
)
def test_cache_differs(stored: View | None, cached: Entry | None, kind: Kind, found: str) -> None:
    """Each difference has one name; it says which version was expected, and which is there."""
    difference = found_in_cache(stored, cached, complete=cached is None)
    assert difference is not None
    assert difference[:5] == (CACHE, GOLD, kind, stored.version if stored else "", found)


def test_keys_that_cannot_be_read_are_left_out_of_the_cache() -> None:
    """Of a key of a newer schema nothing is said, whatever the cache has of it."""
    assert found_in_cache(None, Entry("a:9", b"7"), unknown="gold") is None


FRIENDS_3 = view("a:2,b:1", '["bob","eve"]', "friends")
BOTH = [Led("friends", FRIEND, "bob"), Led("friends", FRIEND, "eve")]


@pytest.mark.parametrize(
    ("stored", "has", "edges"),
    [
        (FRIENDS_3, 3, BOTH),
        (view("a:1", "[]", "friends"), 1, []),
        (None, 0, []),
        (view("a:1", '"owls"', "guild"), 1, [Led("guild", MEMBER, "owls")]),
        (view("a:1", "null", "guild"), 1, []),
        (view("a:1", "7", "guild"), 1, []),
    ],
    ids=["two", "none", "unwritten", "a register", "an empty register", "a register that holds no name"],
)
def test_graph_is_consistent(stored: View | None, has: int, edges: list[Led]) -> None:
    """The total is the sum of the view's version, and the edges are those that its value makes."""
    views = [stored] if stored else []
    assert found_in_graph(*views, totals={one.state_key: has for one in views if has}, edges=edges) == []
    assert found_in_graph(*views, totals={one.state_key: has for one in views}, edges=edges[::-1]) == []


@pytest.mark.parametrize(
    ("stored", "has", "edges", "kind"),
    [
        (FRIENDS_3, 2, BOTH, Kind.LAGGING),
        (FRIENDS_3, 0, [], Kind.LAGGING),
        (FRIENDS_3, 4, BOTH, Kind.AHEAD),
        (FRIENDS_3, 3, BOTH[:1], Kind.DIVERGED),
        (FRIENDS_3, 3, [*BOTH, Led("friends", FRIEND, "joe")], Kind.DIVERGED),
        (FRIENDS_3, 3, [*BOTH, BOTH[0]], Kind.DIVERGED),
        (FRIENDS_3, 3, [BOTH[0], Led("friends", MEMBER, "eve")], Kind.DIVERGED),
        (None, 3, [], Kind.ORPHAN),
        (None, 0, BOTH, Kind.ORPHAN),
    ],
    ids=["older", "nothing", "beyond", "one lacks", "one too many", "one twice", "another label", "a total", "edges"],
)
def test_graph_differs(stored: View | None, has: int, edges: list[Led], kind: Kind) -> None:
    """Each difference has one name, with the totals that are expected and there."""
    totals = {"friends": has} if has else {}
    (found,) = found_in_graph(*([stored] if stored else []), totals=totals, edges=edges)
    assert found[:5] == (GRAPH, FRIENDS, kind, "3" if stored else "0", str(has))


@pytest.mark.parametrize("state_key", ["gold", "forgotten", ""])
def test_edges_that_no_key_makes_are_orphans(state_key: str) -> None:
    """Of a key that makes none, that the schema does not have, or without a key; the total is that of the key."""
    stored = [FRIENDS_3, view("a:3")]
    totals = {"friends": 3, **({"forgotten": 8} if state_key == "forgotten" else {})}
    (found,) = found_in_graph(*stored, totals=totals, edges=[*BOTH, Led(state_key, FRIEND, "bob")])
    expected = "8" if state_key == "forgotten" else "0"
    assert found[:5] == (GRAPH, Key("ada", state_key), Kind.ORPHAN, "0", expected)


def test_keys_that_cannot_be_read_are_left_out_of_the_graph() -> None:
    """Also where they make edges by the schema that is known here, or by none."""
    assert found_in_graph(totals={"friends": 9}, edges=BOTH, unknown="friends") == []
    assert found_in_graph(edges=[Led("pets", FRIEND, "rex")], unknown="pets") == []


def test_each_key_of_the_graph_is_compared_alone() -> None:
    """What is wrong with one key is not said of another; an edge counts for the key that made it."""
    guild = view("a:1", '"owls"', "guild")
    edges = [*BOTH, Led("guild", MEMBER, "owls")]
    assert found_in_graph(FRIENDS_3, guild, totals={"friends": 3, "guild": 1}, edges=edges) == []
    (found,) = found_in_graph(FRIENDS_3, guild, totals={"friends": 3}, edges=edges[:2])
    assert found[1:3] == (GUILD, Kind.LAGGING)


@pytest.mark.parametrize(
    ("own", "copy", "kind"),
    [
        (Copy("a:3", b"x"), Copy("a:3", b"x"), None),
        (Copy("a:3", b"x"), None, Kind.LAGGING),
        (Copy("a:3,b:1", b"x"), Copy("a:3", b"x"), Kind.LAGGING),
        (Copy("a:10", b"x"), Copy("a:9", b"y"), Kind.LAGGING),
        (Copy("a:3", b"x"), Copy("a:3", b"y"), Kind.DIVERGED),
        (Copy("a:3", b"x"), Copy("", b"\xff"), Kind.DIVERGED),
        (Copy("a:3", b"x"), Copy("a:4", b"x"), Kind.AHEAD),
        (Copy("a:3", b"x"), Copy("a:2,b:1", b"x"), Kind.AHEAD),
        (None, Copy("a:1", b"x"), Kind.AHEAD),
    ],
)
def test_copies_in_another_region(own: Copy | None, copy: Copy | None, kind: Kind | None) -> None:
    """What has not come yet lags, what the region has not written is ahead, what is none has diverged."""
    found = list(compare_copies(ELSEWHERE, "ada", {"gold": own} if own else {}, {"gold": copy} if copy else {}))
    if kind is None:
        assert found == []
    else:
        expected = (ELSEWHERE, GOLD, kind, own.version if own else "", copy.version if copy else "")
        assert [one[:5] for one in found] == [expected]


def test_differences_come_in_a_fixed_order() -> None:
    """The same snapshots give the same differences in the same order, whatever Python hashes names to."""
    own = {name: Copy("a:1", b"x") for name in ("zoo", "bag", "map", "age", "name")}
    found = compare_copies(ELSEWHERE, "ada", own, {})
    assert [one.key.state_key for one in found] == ["age", "bag", "map", "name", "zoo"]


@pytest.mark.parametrize(
    ("state_key", "value", "detail"),
    [
        ("gold", "5", None),
        ("gold", '"123456789012345678901234567890"', None),
        ("gold", "4", "below its minimum"),
        ("gold", '"-123456789012345678901234567890"', "below its minimum"),
        ("bag", '{"ore":1,"rope":"9007199254740993"}', None),
        ("bag", "{}", None),
        ("bag", '{"ore":-1,"rope":2,"tent":-3}', "items below their minimum: 2"),
        ("name", "-7", None),
    ],
)
def test_overspent(state_key: str, value: str, detail: str | None) -> None:
    """Promise 4: that something is below its minimum is said, and no value; also where numbers are written as texts."""
    found: list[Any] = [tuple(one) for one in compare_minimum(view("a:3", value, state_key), SCHEMA.keys[state_key])]
    key = Key("ada", state_key)
    expected = [(STORE, key, Kind.OVERSPENT, "a:3", "a:3", detail)]
    assert found == ([] if detail is None else expected)


@pytest.mark.parametrize(
    ("own", "copies", "wrong"),
    [
        (b"x", [b"y"], Wrong.UNKNOWN),
        (b"x", [b"y", b"y"], Wrong.OWN),
        (b"x", [b"x", b"y"], Wrong.COPY),
        (b"x", [b"y", b"z"], Wrong.UNKNOWN),
        (b"x", [b"x", b"y", b"y"], Wrong.UNKNOWN),
        (b"x", [b"y", b"y", b"z"], Wrong.OWN),
    ],
)
def test_what_most_regions_hold_is_right(own: bytes, copies: list[bytes], wrong: Wrong) -> None:
    """Where as many say the one as the other, it cannot be told."""
    assert which_is_wrong(own, copies) is wrong


def test_targets() -> None:
    """A set leads to its elements, a register to its value; what is no text leads nowhere."""
    friends, guild = SCHEMA.keys["friends"], SCHEMA.keys["guild"]
    assert targets_of(friends, msgspec.Raw(b'["bob","eve"]')) == ["bob", "eve"]
    assert targets_of(guild, msgspec.Raw(b'"owls"')) == ["owls"]
    assert [targets_of(guild, msgspec.Raw(value)) for value in (b"null", b"7", b'{"a":"b"}')] == [[], [], []]
