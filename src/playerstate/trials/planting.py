"""Disagreements, planted by hand past the system: in a cache, in a graph, in a store. Verification has to find them.

Each is planted with a player of its own, who was there before, is complete in the cache, and is left alone by the load:
what traffic writes over before anybody looks is no disagreement any more.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, copies_in
from playerstate.core.model import Key, Op, Update
from playerstate.core.wire import encode_row, row_readers
from playerstate.node import Node

GOLD, FRIENDS = "gold", "friends"
BEFORE, NOW = 60, 100
"""How much gold a player had at first, and has."""


class Ground(NamedTuple):
    """Where it is planted: the node of a region, its cache, and the folder of another region if there is one."""

    node: Node
    cache: redis.Redis
    folder: Path
    other: str
    other_folder: Path | None

    def set_fields(self, player_id: str, **fields: str) -> None:
        """Write fields of a player's hash; `__v` at the end of a name stands for the version's."""
        named: dict[Any, Any] = {name.replace("__v", "#v"): value for name, value in fields.items()}
        self.cache.hset(f"player:{{{player_id}}}", mapping=named)

    def delete_fields(self, player_id: str, *names: str) -> None:
        """Delete fields of a player's hash."""
        self.cache.hdel(f"player:{{{player_id}}}", *names)

    def query(self, text: str, **parameters: Any) -> None:
        """Run a query on the graph."""
        graph: Any = self.node.parts.graph
        graph._database.run(text, parameters)

    def change_row(self, folder: Path, player_id: str) -> None:
        """Give a player's gold another amount in a region's store, at the same version."""
        place = player_id, f"{GOLD}#{self.node.region}"
        with contextlib.closing(sqlite3.connect(folder / "store.db", timeout=30, isolation_level=None)) as store:
            (body,) = store.execute("SELECT body FROM rows WHERE player_id = ? AND range_key = ?", place).fetchone()
            row = row_readers(self.node.schema)[GOLD].decode(body)
            changed = msgspec.structs.replace(row, state={self.node.region: 999})
            changes = "UPDATE rows SET body = ? WHERE player_id = ? AND range_key = ?"
            store.execute(changes, (encode_row(changed), *place))


class Plant(NamedTuple):
    """A kind of disagreement: what it has to be called, where, of which key, and how it is made."""

    name: str
    place: str
    kind: Kind
    state_key: str
    make: Callable[[Ground, str], None]
    regional: bool = False


def preparations(player_id: str, sequence: int) -> list[Update]:
    """What a player is before anything is planted: gold in two versions, and two friends."""
    steps = [
        Op(player_id, GOLD, "add", n=BEFORE),
        Op(player_id, GOLD, "add", n=NOW - BEFORE),
        Op(player_id, FRIENDS, "add", elements=[f"{player_id}-a", f"{player_id}-b"]),
    ]
    numbers = (sequence, sequence + 1, 1)
    return [Update([op], "planting", n) for op, n in zip(steps, numbers, strict=True)]


def plants(region: str, other: str) -> list[Plant]:
    """All kinds; those that are `regional` need another region."""
    return [
        Plant("a cached value changed", CACHE, Kind.DIVERGED, GOLD, lambda g, p: g.set_fields(p, gold="999")),
        Plant("a cached version raised", CACHE, Kind.AHEAD, GOLD, lambda g, p: g.set_fields(p, gold__v=f"{region}:99")),
        Plant("a cached version made garbage", CACHE, Kind.DIVERGED, GOLD, lambda g, p: g.set_fields(p, gold__v="?")),
        Plant("a cached field deleted", CACHE, Kind.MISSING, GOLD, lambda g, p: g.delete_fields(p, "gold", "gold#v")),
        Plant("a cached value deleted", CACHE, Kind.MISSING, GOLD, lambda g, p: g.delete_fields(p, "gold")),
        Plant(
            "an orphan put beside a player's keys", CACHE, Kind.ORPHAN, "rank",
            lambda g, p: g.set_fields(p, rank="7", rank__v=f"{region}:1"),
        ),
        Plant(
            "an orphan player put in", CACHE, Kind.ORPHAN, GOLD,
            lambda g, p: g.set_fields(f"nobody-{p}", gold="7", gold__v=f"{region}:1"),
        ),
        Plant(
            "an older view written back", CACHE, Kind.STALE, GOLD,
            lambda g, p: g.set_fields(p, gold=str(BEFORE), gold__v=f"{region}:1"),
        ),
        Plant("an edge added", GRAPH, Kind.DIVERGED, FRIENDS, lambda g, p: _add_edge(g, p, FRIENDS)),
        Plant("an edge added that no key makes", GRAPH, Kind.ORPHAN, "", lambda g, p: _add_edge(g, p, None)),
        Plant(
            "an edge removed", GRAPH, Kind.DIVERGED, FRIENDS,
            lambda g, p: g.query(
                "MATCH (:Player {id: $p})-[e:FRIEND]->(v:Player) WITH e, v.id AS id WHERE id = $t DELETE e",
                p=p, t=f"{p}-a",
            ),
        ),
        Plant(
            "a total in the graph raised", GRAPH, Kind.AHEAD, FRIENDS,
            lambda g, p: g.query("MATCH (s:Synced {id: $id}) SET s.total = 99", id=f"{p}#{FRIENDS}"),
        ),
        Plant(
            "a row changed in its own region's store", STORE, Kind.DIVERGED, GOLD,
            lambda g, p: g.change_row(g.folder, p), regional=True,
        ),
        Plant(
            "a row changed in another region's store", copies_in(other), Kind.DIVERGED, GOLD,
            lambda g, p: g.change_row(g.other_folder or g.folder, p), regional=True,
        ),
    ]  # fmt: skip


def key_of(plant: Plant, player_id: str) -> Key:
    """The key that the finding has to be about."""
    return Key(f"nobody-{player_id}" if plant.name == "an orphan player put in" else player_id, plant.state_key)


def _add_edge(ground: Ground, player_id: str, state_key: str | None) -> None:
    ground.query("MERGE (:Player {id: $t})", t=f"{player_id}-z")
    properties = "" if state_key is None else "{key: $k}"
    text = f"MATCH (p:Player {{id: $p}}) MATCH (t:Player {{id: $t}}) CREATE (p)-[:FRIEND {properties}]->(t)"
    named = {} if state_key is None else {"k": state_key}
    ground.query(text, p=player_id, t=f"{player_id}-z", **named)
