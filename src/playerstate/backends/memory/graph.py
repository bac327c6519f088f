"""The social graph, in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest
from typing import NamedTuple, TypeVar

from playerstate.core.model import Key
from playerstate.core.schema import Edge
from playerstate.core.snapshots import Led, PlayerEdges
from playerstate.ports.graph import EdgesOfKey

_PLAYER = "Player"

_T = TypeVar("_T")


class _Vertex(NamedTuple):
    kind: str
    id: str


class _Synced(NamedTuple):
    total: int
    edge: Edge
    targets: frozenset[str]


class MemoryGraph:
    """A `Graph`. Between two vertices an edge is counted once for each key that makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._synced: dict[Key, _Synced] = {}
        self._out: dict[tuple[str, str], Counter[_Vertex]] = {}
        self._in: dict[tuple[str, str], Counter[str]] = {}

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        """Make the graph's edges of each key equal to those given; returns how many keys were behind."""
        given = list(batch)
        with self._lock:
            return len({edges.key for edges in given if self._sync(edges)})

    def edges(self, key: Key) -> tuple[int, list[str]]:
        """The total that the graph has of a key, and the key's targets, sorted."""
        with self._lock:
            synced = self._synced.get(key)
            return (synced.total, sorted(synced.targets)) if synced else (0, [])

    def inspect(self, player_ids: Sequence[str]) -> list[PlayerEdges]:
        """All that is there of each player. Nobody can write to it past its calls."""
        with self._lock:
            return [
                PlayerEdges(
                    {key.state_key: synced.total for key, synced in found.items()},
                    [Led(key.state_key, synced.edge, end) for key, synced in found.items() for end in synced.targets],
                )
                for found in [
                    {key: synced for key, synced in self._synced.items() if key.player_id == player_id}
                    for player_id in player_ids
                ]
            ]

    def repair(self, key: Key, total: int, edges: EdgesOfKey | None) -> bool:
        """Make a key's edges those given, or none and no total for None, if the graph's total is still this one."""
        with self._lock:
            before = self._synced.get(key)
            if (before.total if before else 0) != total:
                return False
            if before:
                self._count(key, self._synced.pop(key), -1)
            if edges is not None:
                self._sync(edges)
            return True

    def targets(self, player_ids: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each player, the vertices that edges of a label lead to."""
        with self._lock:
            return {player_id: {end.id for end in self._out.get((label, player_id), ())} for player_id in player_ids}

    def sources(self, targets: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each vertex, the players whose edges of a label lead to it."""
        with self._lock:
            return {target: set(self._in.get((label, target), ())) for target in targets}

    def friends_of_friends(self, player_id: str, label: str, limit: int) -> list[str]:
        """The vertices two edges away that are neither the player nor one edge away; sorted, at most `limit`."""
        with self._lock:
            near = self._out.get((label, player_id), Counter())
            far = {end.id for middle in near if middle.kind == _PLAYER for end in self._out.get((label, middle.id), ())}
            return nsmallest(limit, far - {end.id for end in near} - {player_id})

    def players(self, after: str, limit: int) -> list[str]:
        """The next players that make edges or are led to, in the order of their ids."""
        with self._lock:
            makers = {key.player_id for key in self._synced}
            led_to = {end.id for ends in self._out.values() for end in ends if end.kind == _PLAYER}
            return nsmallest(limit, (player_id for player_id in makers | led_to if player_id > after))

    def keys(self, after: str, limit: int) -> list[Key]:
        """The next keys that the graph has edges or a total of, in the order of their ids `player#key`."""
        with self._lock:
            return nsmallest(limit, (key for key in self._synced if _id(key) > after), key=_id)

    def _sync(self, edges: EdgesOfKey) -> bool:
        before = self._synced.get(edges.key)
        if edges.total <= (before.total if before else 0):
            return False
        if before:
            self._count(edges.key, before, -1)
        after = _Synced(edges.total, edges.edge, frozenset(edges.targets))
        self._count(edges.key, after, +1)
        self._synced[edges.key] = after
        return True

    def _count(self, key: Key, synced: _Synced, times: int) -> None:
        label, kind = synced.edge.label, synced.edge.to
        for target in synced.targets:
            _add(self._out, (label, key.player_id), _Vertex(kind, target), times)
            _add(self._in, (label, target), key.player_id, times)


def _add(index: dict[tuple[str, str], Counter[_T]], place: tuple[str, str], end: _T, times: int) -> None:
    counter = index.setdefault(place, Counter())
    counter[end] += times
    if not counter[end]:
        del counter[end]
    if not counter:
        del index[place]


def _id(key: Key) -> str:
    return f"{key.player_id}#{key.state_key}"
