"""The comparison, on what real rows of several regions show: agreement, lag, and every single thing planted in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import hypothesis
import msgspec
from hypothesis import strategies as st

from core.cluster import NOW_MS, SCHEMA, Cluster, any_op, update
from core.worlds import REGIONS, Tape
from playerstate.core.comparison import (
    Difference,
    compare_cache,
    compare_copies,
    compare_graph,
    compare_minimum,
    targets_of,
)
from playerstate.core.findings import CACHE, GRAPH, Kind, copies_in
from playerstate.core.model import View
from playerstate.core.schema import Edge
from playerstate.core.snapshots import Copy, Entry, Inspected, Led, PlayerEdges
from playerstate.core.version_vector import format_vector, parse_vector, total
from playerstate.core.wire import read_row_head

HERE = "a"
EDGED = msgspec.structs.replace(
    SCHEMA,
    keys={
        **SCHEMA.keys,
        "friends": msgspec.structs.replace(SCHEMA.keys["friends"], edge=Edge("FRIEND")),
        "name": msgspec.structs.replace(SCHEMA.keys["name"], edge=Edge("NAMED", "Name")),
    },
)
tapes = st.binary(min_size=160, max_size=160).map(Tape)
given_traffic = hypothesis.given(times=st.integers(1, 16), tape=tapes)


class Parts(NamedTuple):
    """What cache, graph and other regions have of anna, as they show it, and what the store does."""

    views: dict[str, View]
    cached: Inspected
    led: PlayerEdges
    own: dict[str, Copy]
    copies: dict[str, dict[str, Copy]]


def happen(cluster: Cluster, times: int, tape: Tape, regions: tuple[str, ...], first: int) -> None:
    """Updates, erasures and arrivals in any of some regions."""
    for n in range(first, first + times):
        region, kind = tape.pick(regions), tape.number(8)
        if cluster.writes and kind in (5, 6):
            cluster.deliver(region, tape.pick(cluster.writes))
        elif kind == 7:
            cluster.erase(region, tape.pick(list(SCHEMA.keys)), sequence=n, at=NOW_MS + n)
        else:
            ops = [any_op(tape) for _ in range(1 + tape.number(3))]
            cluster.send(region, update(*ops, producer=region, sequence=n, sent_at=NOW_MS + n), accepted_at=NOW_MS + n)


def taken(cluster: Cluster) -> Parts:
    """A snapshot of the store in a region, and of parts that are all up to it, but for copies: they are as they are."""
    views = {}
    for key, rows in cluster.stores[HERE].items():
        if rows:
            version, value = cluster.view(HERE, key)
            views[key.state_key] = View(*key, version, msgspec.Raw(msgspec.json.encode(value)))
    made = {name: edge for name, edge in EDGED.edge_keys().items() if name in views}
    return Parts(
        views,
        Inspected({name: Entry(view.version, bytes(view.value)) for name, view in views.items()}, complete=True),
        PlayerEdges(
            {name: total(parse_vector(views[name].version)) for name in made},
            [
                Led(name, edge, end)
                for name, edge in made.items()
                for end in targets_of(EDGED.keys[name], views[name].value)
            ],
        ),
        copies(cluster, HERE),
        {copies_in(region): copies(cluster, region) for region in REGIONS if region != HERE},
    )


def copies(cluster: Cluster, region: str) -> dict[str, Copy]:
    """What a region has of this one's rows."""
    return {
        key.state_key: Copy(format_vector(read_row_head(rows[HERE]).vector), rows[HERE])
        for key, rows in cluster.stores[region].items()
        if HERE in rows
    }


def compared(parts: Parts, store: Parts) -> Iterator[Difference]:
    """Parts as they were held against the store as it is."""
    yield from compare_cache("anna", store.views, parts.cached, ())
    yield from compare_graph("anna", store.views, parts.led, EDGED, ())
    for place, held in parts.copies.items():
        yield from compare_copies(place, "anna", store.own, held)
    for view in store.views.values():
        yield from compare_minimum(view, EDGED.keys[view.state_key])


@given_traffic
def test_what_was_made_of_a_store_agrees_with_it(times: int, tape: Tape) -> None:
    """Promise 8: a snapshot from the store's own views has no difference, once its rows have come everywhere."""
    cluster = Cluster()
    happen(cluster, times, tape, REGIONS, 1)
    cluster.settle()
    parts = taken(cluster)
    assert list(compared(parts, parts)) == []


@hypothesis.given(before=st.integers(1, 16), after=st.integers(0, 10), alone=st.booleans(), tape=tapes)
def test_what_was_made_of_an_older_store_only_lags(before: int, after: int, alone: bool, tape: Tape) -> None:
    """Promise 8: whatever is written meanwhile, by one region or by several, nothing looks worse than late, and
    nothing that has moved looks right.
    """
    cluster, regions = Cluster(), (HERE,) if alone else REGIONS
    happen(cluster, before, tape, regions, 1)
    parts = taken(cluster)
    happen(cluster, after, tape, regions, before + 1)
    store = taken(cluster)
    found = list(compared(parts, store))
    assert {one.kind for one in found} <= {Kind.LAGGING}
    moved = {name for name, view in store.views.items() if name not in parts.views or view != parts.views[name]}
    assert {one.key.state_key for one in found if one.place == CACHE} == moved
    assert {one.key.state_key for one in found if one.place == GRAPH} == moved & EDGED.edge_keys().keys()
    for place, held in parts.copies.items():
        assert {one.key.state_key for one in found if one.place == place} == {
            name for name, mine in store.own.items() if held.get(name) != mine
        }


def plant_in_cache(tape: Tape, parts: Parts) -> tuple[Parts, Kind]:
    """Change one thing in the cache."""
    entries = dict(parts.cached.entries)
    name = tape.pick(sorted(entries))
    entry = entries[name]
    assert entry.version
    ahead = format_vector({**parse_vector(entry.version), "z": 1})
    entries[name], kind = tape.pick(
        [
            (Entry(entry.version, b'"planted"'), Kind.DIVERGED),
            (Entry(ahead, entry.value), Kind.AHEAD),
            (Entry("z:99", entry.value), Kind.AHEAD),
            (Entry(f"{entry.version},", entry.value), Kind.DIVERGED),
            (Entry(entry.version, None), Kind.MISSING),
            (Entry(None, entry.value), Kind.MISSING),
        ]
    )
    if tape.number(7) == 6:
        return parts._replace(cached=Inspected({**parts.cached.entries, "zoo": entry}, complete=True)), Kind.ORPHAN
    return parts._replace(cached=Inspected(entries, complete=True)), kind


def plant_in_graph(tape: Tape, parts: Parts) -> tuple[Parts, Kind]:
    """Change one thing in the graph."""
    totals, edges = dict(parts.led.totals), list(parts.led.edges)
    made = EDGED.edge_keys()
    name = tape.pick(sorted(made))
    choice = tape.number(4)
    if name not in totals:
        totals[name], kind = 7, Kind.ORPHAN
    elif choice == 0:
        totals[name], kind = totals[name] + 1, Kind.AHEAD
    elif choice == 1:
        edges.append(Led("", made[name], "planted"))
        kind = Kind.ORPHAN
    elif choice == 2 and edges:
        edges.pop(tape.number(len(edges)))
        kind = Kind.DIVERGED
    else:
        edges.append(Led(name, made[name], "planted"))
        kind = Kind.DIVERGED
    return parts._replace(led=PlayerEdges(totals, edges)), kind


def plant_in_copies(tape: Tape, parts: Parts) -> tuple[Parts, Kind]:
    """Change one thing in what another region holds."""
    place = tape.pick(sorted(parts.copies))
    held = dict(parts.copies[place])
    name = tape.pick([*sorted(held), "zoo"])
    mine = held.get(name, Copy("a:1", b"x"))
    ahead = format_vector({**parse_vector(mine.version), "a": 99})
    held[name], kind = tape.pick(
        [
            (Copy(mine.version, mine.body + b"."), Kind.DIVERGED),
            (Copy(ahead, mine.body), Kind.AHEAD),
            (Copy("", mine.body), Kind.DIVERGED),
        ]
    )
    if name == "zoo":
        kind = Kind.AHEAD
    return parts._replace(copies={**parts.copies, place: held}), kind


PLANTS: list[Callable[[Tape, Parts], tuple[Any, Kind]]] = [plant_in_cache, plant_in_graph, plant_in_copies]


@given_traffic
def test_whatever_is_planted_is_found(times: int, tape: Tape) -> None:
    """Promise 8: change one thing, in any place, and that thing is found, once, under its name."""
    cluster, plant = Cluster(), tape.pick(PLANTS)
    happen(cluster, times, tape, REGIONS, 1)
    cluster.send(HERE, update(any_op(tape), producer="last", sequence=1, sent_at=NOW_MS + 99), accepted_at=NOW_MS + 99)
    cluster.settle()
    store = taken(cluster)
    parts, kind = plant(tape, store)
    hypothesis.event(f"{plant.__name__}: {kind}")
    (found,) = compared(parts, store)
    assert found.kind is kind


@given_traffic
def test_the_order_of_names_does_not_matter(times: int, tape: Tape) -> None:
    """Another program may write an object's names in another order, and blanks, and has said the same."""
    cluster = Cluster()
    happen(cluster, times, tape, REGIONS, 1)
    store = taken(cluster)

    def turned(value: Any) -> Any:
        return {name: turned(value[name]) for name in reversed(value)} if isinstance(value, dict) else value

    entries = {
        name: Entry(entry.version, msgspec.json.format(msgspec.json.encode(turned(msgspec.json.decode(entry.value)))))
        for name, entry in store.cached.entries.items()
        if entry.value is not None
    }
    assert list(compare_cache("anna", store.views, Inspected(entries, complete=True), ())) == []
