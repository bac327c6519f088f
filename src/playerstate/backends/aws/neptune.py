"""The social graph on Amazon Neptune.

Vertices and edges are those of the embedded graph: an edge has the state key that makes it as its property `key`, and
the total that the graph has of a key stands on a vertex `Synced`, with the label and kind of the key's edges. Neptune
keeps nothing unique but the ids of vertices (`~id`), and has one space of them for all kinds. So a vertex has the id
`<kind>#<id>`, in which the first `#` ends the kind, and its plain id as the property `id`.

A request is a transaction, so a key's total is compared and set by the query that syncs its edges
(`cypher/neptune/sync.cypher`), and whatever is to be of one moment comes from one query.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from playerstate.backends.aws.neptune_http import NeptuneEndpoint
from playerstate.backends.cypher import PLAYER, SYNCED, key_of, query, synced_id
from playerstate.backends.cypher.batches import newest, parts
from playerstate.core.model import Key
from playerstate.core.schema import Edge, Schema
from playerstate.core.snapshots import Led, PlayerEdges
from playerstate.ports.graph import EdgesOfKey

SYNC_EDGES_MAX = 1_000
"""Edges of one request, unless one key has more: what a transaction touches, others have to wait for."""

SYNC_KEYS_MAX = 200
"""Keys of one request."""

INSPECTED_AT_ONCE = 50
"""Players of one request."""

HOPS_AT_ONCE = 500
"""Vertices of one request, from which edges are followed."""

_T = TypeVar("_T")


class NeptuneGraph:
    """A `Graph` at an endpoint, for the edges that a schema declares.

    When a sync of several requests raises, keys of earlier ones are synced; repeating it is harmless, as always.
    """

    def __init__(self, endpoint: NeptuneEndpoint, schema: Schema) -> None:
        self._endpoint = endpoint
        self._edges = frozenset(schema.edge_keys().values())
        self._state_keys = sorted(schema.edge_keys())
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)
        for edge in self._edges:
            self._kinds[edge.label].add(edge.to)

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        """Make the graph's edges of each key equal to those given; returns how many keys were behind."""
        alike: defaultdict[Edge, list[EdgesOfKey]] = defaultdict(list)
        for edges in newest(batch, self._edges):
            alike[edges.edge].append(edges)
        taken = 0
        for edge, group in alike.items():
            for part in parts(group, SYNC_EDGES_MAX):
                for some in _chunks(part, SYNC_KEYS_MAX):
                    rows = [_row(edges, had=edges.total - 1) for edges in some]
                    taken += self._replace(edge, rows, exactly=False)
        return taken

    def edges(self, key: Key) -> tuple[int, list[str]]:
        """The total that the graph has of a key, and the key's targets, sorted."""
        rows = self._endpoint.read(_text("neptune/edges"), _ids_of(key))
        total = (rows[0]["total"] or 0) if rows else 0
        return total, sorted({row["target"] for row in rows if row["target"] is not None})

    def inspect(self, player_ids: Sequence[str]) -> list[PlayerEdges]:
        """All that is there of each player, some players at a time."""
        found = {player_id: PlayerEdges({}, []) for player_id in player_ids}
        for some in _chunks(list(found), INSPECTED_AT_ONCE):
            for row in self._endpoint.read(_text("neptune/inspect"), {"players": some, "keys": self._state_keys}):
                totals, edges = found[row["player"]]
                state_key = row["key"] or ""
                if row["total"] is not None:
                    totals[state_key] = row["total"]
                if row["label"]:
                    edges.append(Led(state_key, Edge(row["label"], row["kinds"][0]), row["target"]))
        return [found[player_id] for player_id in player_ids]

    def repair(self, key: Key, total: int, edges: EdgesOfKey | None) -> bool:
        """Make a key's edges those given, or none and no total for None, if the graph's total is still this one.

        Raises `OutcomeUnknown` rather than repeat what may have been done: meanwhile the total may have come back to
        what it was, by another version.
        """
        if edges is not None:
            return self._replace(edges.edge, [_row(edges, had=total)], exactly=True) == 1
        parameters = {"rows": [{**_ids_of(key), "had": total}]}
        (row,) = self._endpoint.write(_text("neptune/forget"), parameters, harmless=False)
        return row["forgotten"] == 1 or (total == 0 and row["still"] == 0)

    def targets(self, player_ids: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each player, the vertices that edges of a label lead to."""
        vertices = [_vertex_id(PLAYER, player_id) for player_id in dict.fromkeys(player_ids)]
        return self._one_hop("neptune/targets", "target", player_ids, vertices, label)

    def sources(self, targets: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each vertex, the players whose edges of a label lead to it."""
        kinds = self._kinds.get(label, ())
        vertices = [_vertex_id(kind, target) for target in dict.fromkeys(targets) for kind in kinds]
        return self._one_hop("neptune/sources", "source", targets, vertices, label)

    def friends_of_friends(self, player_id: str, label: str, limit: int) -> list[str]:
        """The vertices two edges away that are neither the player nor one edge away; sorted, at most `limit`."""
        if label not in self._kinds:
            return []
        parameters = {"vertex": _vertex_id(PLAYER, player_id), "id": player_id, "limit": limit}
        rows = self._endpoint.read(_text("neptune/friends_of_friends", label=label), parameters)
        return [row["id"] for row in rows]

    def players(self, after: str, limit: int) -> list[str]:
        """The next players that are vertices, in the order of their ids."""
        rows = self._endpoint.read(_text("players"), {"after": after, "limit": limit})
        return [row["id"] for row in rows]

    def keys(self, after: str, limit: int) -> list[Key]:
        """The next keys that the graph has edges or a total of, in the order of their ids `player#key`."""
        rows = self._endpoint.read(_text("keys"), {"after": after, "limit": limit})
        return [key_of(row["id"]) for row in rows]

    def close(self) -> None:
        """Let go of the connections."""
        self._endpoint.close()

    def _replace(self, edge: Edge, rows: Sequence[dict[str, Any]], *, exactly: bool) -> int:
        """Run the query that compares, sets and syncs; returns how many keys it has taken.

        A sync is repeated also when it may have had its effect: then the totals are those that it would set, or higher,
        so that it changes nothing; and it knows the keys that it took by the id of the call, so that they are counted.
        """
        parameters = {
            "rows": rows,
            "exactly": exactly,
            "label": edge.label,
            "kind": edge.to,
            "prefix": _vertex_id(edge.to, ""),
            "call": uuid.uuid4().hex,
        }
        text = _text("neptune/sync", label=edge.label, kind=edge.to)
        return int(self._endpoint.write(text, parameters, harmless=not exactly)[0]["taken"])

    def _one_hop(
        self, name: str, column: str, ids: Sequence[str], vertices: Sequence[str], label: str
    ) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {plain_id: set() for plain_id in ids}
        if label in self._kinds:
            for some in _chunks(vertices, HOPS_AT_ONCE):
                for row in self._endpoint.read(_text(name, label=label), {"vertices": some}):
                    found[row["id"]].add(row[column])
        return found


@cache
def _text(name: str, *, label: str = PLAYER, kind: str = PLAYER) -> str:
    """A query as it is sent: without its header."""
    lines = query(name, label=label, kind=kind).splitlines()
    return "\n".join(line for line in lines if not line.startswith("//"))


def _vertex_id(kind: str, plain_id: str) -> str:
    return f"{kind}#{plain_id}"


def _ids_of(key: Key) -> dict[str, str]:
    return {
        "synced": _vertex_id(SYNCED, synced_id(key)),
        "player": _vertex_id(PLAYER, key.player_id),
        "key": key.state_key,
    }


def _row(edges: EdgesOfKey, *, had: int) -> dict[str, Any]:
    key, _, total, targets = edges
    return {
        **_ids_of(key),
        "id": synced_id(key),
        "player_id": key.player_id,
        "had": had,
        "total": total,
        "targets": list(dict.fromkeys(targets)),
    }


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
