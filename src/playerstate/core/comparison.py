"""The comparison of what should agree: pure functions over snapshots.

What the store shows is right by definition; it is held against the cache, the graph, and the copies of this region's
rows in other regions. The snapshots of those have to be taken *before* the store's, consistently for each player: then
whatever they have, the store has too, and nothing can look as if it were ahead because time has passed in between.

One look cannot tell what is wrong from what is on its way: `Suspicions` remembers, and looks again.

Not compared: what no part claims to have (an evicted player is no disagreement), keys that this process does not know,
and copies of other regions' rows, which their own regions compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from playerstate.core.findings import CACHE, GRAPH, STORE, Kind
from playerstate.core.model import Json, Key, View
from playerstate.core.schema import Edge, KeySpec, Schema
from playerstate.core.snapshots import Copy, Inspected, Led, PlayerEdges
from playerstate.core.version_vector import Order, compare, parse_vector, total
from playerstate.errors import InvalidUpdate

NOTHING_FOUND = ("", "0")
"""What is found where there is nothing, as a version and as a total."""


class Difference(NamedTuple):
    """Something that is not as the store has it. `expected` and `found` are versions, of the graph totals."""

    place: str
    key: Key
    kind: Kind
    expected: str
    found: str
    detail: str = ""


def compare_cache(
    player_id: str, stored: Mapping[str, View], cached: Inspected, unknown: Collection[str]
) -> Iterator[Difference]:
    """How what the cache has of a player differs from the store's views. `unknown` are keys that cannot be read."""
    for state_key, entry in cached.entries.items():
        if state_key not in stored and state_key not in unknown:
            yield Difference(CACHE, Key(player_id, state_key), Kind.ORPHAN, "", entry.version or "")
    for state_key, view in stored.items():
        found = cached.entries.get(state_key)
        if found is None:
            if cached.complete:
                yield Difference(CACHE, view.key, Kind.LAGGING, view.version, "", "it is claimed to be unwritten")
        elif found.version is None or found.value is None:
            alone = "a value without a version" if found.version is None else "a version without a value"
            yield Difference(CACHE, view.key, Kind.MISSING, view.version, found.version or "", alone)
        elif found.version != view.version:
            kind, detail = _kind_of_version(found.version, view.version)
            yield Difference(CACHE, view.key, kind, view.version, found.version, detail)
        elif not _same_json(found.value, view.value):
            yield Difference(CACHE, view.key, Kind.DIVERGED, view.version, found.version, "another value")


def compare_graph(
    player_id: str, stored: Mapping[str, View], found: PlayerEdges, schema: Schema, unknown: Collection[str]
) -> Iterator[Difference]:
    """How what the graph has of a player differs from the store's views."""
    led: dict[str, list[Led]] = {}
    for edge in found.edges:
        led.setdefault(edge.state_key, []).append(edge)
    for state_key, edge_made in schema.edge_keys().items():
        edges, has = led.pop(state_key, []), found.totals.get(state_key, 0)
        view = stored.get(state_key)
        if state_key not in unknown and (view is not None or edges or has):
            yield from _compare_edges(Key(player_id, state_key), view, has, edges, edge_made, schema)
    for state_key, edges in led.items():
        if state_key not in unknown:
            detail, has = f"{len(edges)} edges that no key makes", found.totals.get(state_key, 0)
            yield Difference(GRAPH, Key(player_id, state_key), Kind.ORPHAN, "0", str(has), detail)


def compare_copies(
    place: str, player_id: str, own: Mapping[str, Copy], copies: Mapping[str, Copy]
) -> Iterator[Difference]:
    """How another region's copies of this region's rows differ from them."""
    for state_key in sorted(own.keys() | copies.keys()):
        key, mine, copy = Key(player_id, state_key), own.get(state_key), copies.get(state_key)
        if copy is None and mine is not None:
            yield Difference(place, key, Kind.LAGGING, mine.version, "", "it has not come there")
        elif mine is None and copy is not None:
            yield Difference(place, key, Kind.AHEAD, "", copy.version, "the region itself has no such row")
        elif mine is not None and copy is not None and not copy.version:
            yield Difference(place, key, Kind.DIVERGED, mine.version, "", "the row there cannot be read")
        elif mine is not None and copy is not None and mine.version != copy.version:
            kind, detail = _kind_of_version(copy.version, mine.version)
            yield Difference(place, key, kind, mine.version, copy.version, detail)
        elif mine is not None and copy is not None and mine.body != copy.body:
            yield Difference(place, key, Kind.DIVERGED, mine.version, copy.version, "another row")


def compare_minimum(view: View, spec: KeySpec) -> Iterator[Difference]:
    """Whether a view is below its key's minimum, which no order of updates can bring about."""
    if spec.type not in ("bounded_counter", "inventory"):
        return
    value: Json = view.decoded()
    numbers = {item: int(n) for item, n in (value.items() if isinstance(value, dict) else [("it", value)])}
    below = sum(n < spec.minimum for n in numbers.values())
    if below:  # which and by how much is the player's, and said where an erasure finds it: in the dead letter
        detail = f"items below their minimum: {below}" if isinstance(value, dict) else "below its minimum"
        yield Difference(STORE, view.key, Kind.OVERSPENT, view.version, view.version, detail)


class Wrong(Enum):
    """Which of two rows of one version is not what was written."""

    COPY = "copy"
    OWN = "own"
    UNKNOWN = "unknown"


def which_is_wrong(own: bytes, copies: Sequence[bytes]) -> Wrong:
    """Equal versions mean equal rows, so somebody has changed one: what most regions hold is right."""
    bodies = Counter([own, *copies])
    others = max(n for body, n in bodies.items() if body != own)
    if bodies[own] == others:
        return Wrong.UNKNOWN
    return Wrong.COPY if bodies[own] > others else Wrong.OWN


def targets_of(spec: KeySpec, value: msgspec.Raw) -> list[str]:
    """Where a key's edges lead to: a set's to each of its elements, a register's to its value if that is a text."""
    decoded: Json = msgspec.json.decode(value)
    targets = decoded if spec.type == "set" else [decoded]
    return [target for target in targets if isinstance(target, str)]


def _compare_edges(
    key: Key, view: View | None, has: int, edges: Sequence[Led], edge_made: Edge, schema: Schema
) -> Iterator[Difference]:
    if view is None:
        yield Difference(GRAPH, key, Kind.ORPHAN, "0", str(has), f"{len(edges)} edges")
        return
    wants = total(parse_vector(view.version))
    if has != wants:
        kind = Kind.LAGGING if has < wants else Kind.AHEAD
        yield Difference(GRAPH, key, kind, str(wants), str(has))
        return
    right = Counter([(edge_made, target) for target in targets_of(schema.keys[key.state_key], view.value)])
    there = Counter([(led.edge, led.target) for led in edges])
    if there != right:
        lacking, too_many = (right - there).total(), (there - right).total()
        yield Difference(GRAPH, key, Kind.DIVERGED, str(wants), str(has), f"{lacking} edges lack, {too_many} too many")


def _kind_of_version(found: str, expected: str) -> tuple[Kind, str]:
    try:
        order = compare(parse_vector(found), parse_vector(expected))
    except InvalidUpdate:
        return Kind.DIVERGED, "what is there is no version"
    if order is Order.BEFORE:
        return Kind.LAGGING, ""
    if order is Order.EQUAL:
        return Kind.DIVERGED, "the version is written otherwise"
    return Kind.AHEAD, ""


def _same_json(one: bytes, other: bytes | msgspec.Raw) -> bool:
    """Whether two texts say the same; in objects the order does not matter."""
    if one == bytes(other):
        return True
    try:
        decoded = msgspec.json.decode(one), msgspec.json.decode(other)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    first, second = (msgspec.json.encode(value, order="sorted") for value in decoded)
    return first == second
