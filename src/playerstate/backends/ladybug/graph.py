"""The social graph on Ladybug.

An edge has the state key that makes it as its property `key`. The total that the graph has of a key stands on a vertex
`Synced {id: "player#key"}`, with the label and kind of the key's edges. Both change in one transaction: a key without
such a vertex has no edges, and a crash leaves edges and total as they were before, or as they are after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from playerstate.backends.cypher import PLAYER, key_of, query, synced_id
from playerstate.backends.cypher.batches import newest, parts
from playerstate.backends.ladybug.database import Database
from playerstate.backends.ladybug.tables import declare_tables
from playerstate.core.model import Key
from playerstate.core.schema import Edge, Schema
from playerstate.core.snapshots import Led, PlayerEdges
from playerstate.ports.graph import EdgesOfKey

BUFFER_POOL_BYTES = 128 * 1024 * 1024

TRANSACTION_EDGES_MAX = 20_000
"""A sync of more edges takes several transactions, each of whole keys: Ladybug keeps a transaction in memory."""


INSPECTED_AT_ONCE = 10
"""Players of one transaction, for which whoever writes has to wait."""


class _Synced(NamedTuple):
    total: int
    edge: Edge


class LadybugGraph:
    """A `Graph` in a folder, for the edges that a schema declares.

    When a sync of several transactions raises, keys of earlier ones are synced; repeating it is harmless, as always.
    """

    def __init__(self, folder: Path, schema: Schema, *, buffer_pool_bytes: int = BUFFER_POOL_BYTES) -> None:
        self._edges = frozenset(schema.edge_keys().values())
        self._state_keys = sorted(schema.edge_keys())
        self._kinds = {
            label: sorted(edge.to for edge in self._edges if edge.label == label)
            for label in {edge.label for edge in self._edges}
        }
        self._database = Database(folder, buffer_pool_bytes=buffer_pool_bytes)
        try:
            declare_tables(self._database, self._edges)
        except BaseException:
            self._database.close()
            raise

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        """Make the graph's edges of each key equal to those given; returns how many keys were behind."""
        given = newest(batch, self._edges)
        return sum(self._sync(part) for part in parts(given, TRANSACTION_EDGES_MAX))

    def edges(self, key: Key) -> tuple[int, list[str]]:
        """The total that the graph has of a key, and the key's targets, sorted."""
        with self._database.transaction():
            had = self._synced([key]).get(key)
            return (had.total, sorted(self._targets_of(key, had.edge))) if had else (0, [])

    def inspect(self, player_ids: Sequence[str]) -> list[PlayerEdges]:
        """All that is there of each player, some players at a time."""
        found: list[PlayerEdges] = []
        for start in range(0, len(player_ids), INSPECTED_AT_ONCE):
            some = player_ids[start : start + INSPECTED_AT_ONCE]
            with self._database.transaction():
                edges = [self._edges_of(player_id) for player_id in some]
                keys = [  # also keys that made edges by an earlier schema
                    Key(player_id, state_key)
                    for player_id, led in zip(some, edges, strict=True)
                    for state_key in {*self._state_keys, *[one.state_key for one in led]}
                ]
                had = self._synced(keys) if keys else {}
            totals: dict[str, dict[str, int]] = {player_id: {} for player_id in some}
            for key in keys:
                if key in had:
                    totals[key.player_id][key.state_key] = had[key].total
            found += [PlayerEdges(totals[player_id], led) for player_id, led in zip(some, edges, strict=True)]
        return found

    def _edges_of(self, player_id: str) -> list[Led]:
        return [
            Led(state_key or "", edge, target)
            for edge in self._edges
            for state_key, target in self._database.run(
                query("player_edges", label=edge.label, kind=edge.to), {"player": player_id}
            )
        ]

    def repair(self, key: Key, total: int, edges: EdgesOfKey | None) -> bool:
        """Make a key's edges those given, or none and no total for None, if the graph's total is still this one."""
        with self._database.transaction():
            had = self._synced([key]).get(key)
            if (had.total if had else 0) != total:
                return False
            for edge in self._edges:
                self._database.run(
                    query("delete_all_edges", label=edge.label, kind=edge.to),
                    {"player": key.player_id, "key": key.state_key},
                )
            if edges is not None:
                self._write([edges], {})
            elif had is not None:
                self._database.run(query("delete_synced"), {"id": synced_id(key)})
            return True

    def targets(self, player_ids: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each player, the vertices that edges of a label lead to."""
        return self._one_hop("targets", player_ids, label)

    def sources(self, targets: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each vertex, the players whose edges of a label lead to it."""
        return self._one_hop("sources", targets, label)

    def friends_of_friends(self, player_id: str, label: str, limit: int) -> list[str]:
        """The vertices two edges away that are neither the player nor one edge away; sorted, at most `limit`."""
        near = self.targets([player_id], label)[player_id]
        found: set[str] = set()
        if near:
            parameters = {"player": player_id, "near": sorted(near | {player_id}), "limit": limit}
            for kind in self._kinds[label]:
                rows = self._database.run(query("friends_of_friends", label=label, kind=kind), parameters)
                found.update(vertex for (vertex,) in rows)
        return sorted(found)[:limit]

    def players(self, after: str, limit: int) -> list[str]:
        """The next players that are vertices, in the order of their ids."""
        return [vertex for (vertex,) in self._database.run(query("players"), {"after": after, "limit": limit})]

    def keys(self, after: str, limit: int) -> list[Key]:
        """The next keys that the graph has edges or a total of, in the order of their ids `player#key`."""
        rows = self._database.run(query("keys"), {"after": after, "limit": limit})
        return [key_of(vertex) for (vertex,) in rows]

    def close(self) -> None:
        """Let go of the folder."""
        self._database.close()

    def _sync(self, part: Sequence[EdgesOfKey]) -> int:
        with self._database.transaction():
            had = self._synced([edges.key for edges in part])
            behind = [edges for edges in part if edges.total > (had[edges.key].total if edges.key in had else 0)]
            if behind:
                self._write(behind, had)
            return len(behind)

    def _write(self, behind: Sequence[EdgesOfKey], had: Mapping[Key, _Synced]) -> None:
        """Write the differences, totals last: what is there already costs a look-up a key, and nothing an edge."""
        vertices: defaultdict[str, set[str]] = defaultdict(set)
        added: defaultdict[Edge, list[dict[str, Any]]] = defaultdict(list)
        for key, edge, _, targets in behind:
            kept = self._delete_others(key, edge, set(targets), had[key].edge) if key in had else set()
            missing = set(targets) - kept
            if missing:
                vertices[PLAYER].add(key.player_id)
                vertices[edge.to] |= missing
                added[edge].append({"player": key.player_id, "key": key.state_key, "targets": sorted(missing)})
        for kind, ids in vertices.items():
            self._database.run(query("put_vertices", kind=kind), {"ids": sorted(ids)})
        for edge, rows in added.items():
            self._database.run(query("create_edges", label=edge.label, kind=edge.to), {"rows": rows})
        totals = [
            {"id": synced_id(key), "total": total, "label": edge.label, "kind": edge.to}
            for key, edge, total, _ in behind
        ]
        self._database.run(query("put_synced"), {"rows": totals})

    def _delete_others(self, key: Key, edge: Edge, targets: set[str], old_edge: Edge) -> set[str]:
        """Delete a key's edges but those to `targets`; returns the targets that have one."""
        old = self._targets_of(key, old_edge)
        kept = old & targets if old_edge == edge else set()
        if old - kept:
            self._database.run(
                query("delete_edges", label=old_edge.label, kind=old_edge.to),
                {"player": key.player_id, "key": key.state_key, "targets": sorted(old - kept)},
            )
        return kept

    def _synced(self, keys: Sequence[Key]) -> dict[Key, _Synced]:
        rows = self._database.run(query("synced"), {"ids": [synced_id(key) for key in keys]})
        return {key_of(vertex): _Synced(total or 0, Edge(label, kind)) for vertex, total, label, kind in rows}

    def _targets_of(self, key: Key, edge: Edge) -> set[str]:
        rows = self._database.run(
            query("targets_of_key", label=edge.label, kind=edge.to),
            {"player": key.player_id, "key": key.state_key},
        )
        return {target for (target,) in rows}

    def _one_hop(self, name: str, ids: Sequence[str], label: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {vertex: set() for vertex in ids}
        for kind in self._kinds.get(label, ()):
            text = query(name, label=label, kind=kind)
            for vertex, ends in found.items():
                ends.update(end for (end,) in self._database.run(text, {"id": vertex}))
        return found
