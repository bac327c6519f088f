"""The social graph, which follows the views of the keys that make edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from playerstate.core.model import Key
from playerstate.core.schema import Edge
from playerstate.core.snapshots import PlayerEdges


class EdgesOfKey(NamedTuple):
    """All edges that one key makes, at one version of its view.

    `total` is the sum of the view's vector, which grows with every version. An edge goes from the vertex
    `Player {id: player_id}` to the vertex `<edge.to> {id: target}`.
    """

    key: Key
    edge: Edge
    total: int
    targets: list[str]


class Graph(Protocol):
    """Vertices and edges.

    - **Never backwards**: a key's edges are replaced only by those of a higher total, compared and set in one step.
    - **Exact**: after `sync` the edges that a key makes are those given, whatever they were before. Edges of other keys
      stay, also those that run between the same vertices.
    """

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        """Make the graph's edges of each key equal to those given; returns how many keys were behind."""
        ...

    def edges(self, key: Key) -> tuple[int, list[str]]:
        """The total that the graph has of a key (0: none), and the key's targets, sorted."""
        ...

    def inspect(self, player_ids: Sequence[str]) -> list[PlayerEdges]:
        """All that is there of each player, each player's at one moment."""
        ...

    def repair(self, key: Key, total: int, edges: EdgesOfKey | None) -> bool:
        """Make a key's edges those given, or none and no total for None, if the graph's total is still this one.

        Total and edges change in one step, and the total may fall. Returns whether it was done.
        """
        ...

    def targets(self, player_ids: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each player, the vertices that edges of a label lead to."""
        ...

    def sources(self, targets: Sequence[str], label: str) -> dict[str, set[str]]:
        """For each vertex, the players whose edges of a label lead to it."""
        ...

    def friends_of_friends(self, player_id: str, label: str, limit: int) -> list[str]:
        """The vertices two edges away that are neither the player nor one edge away; sorted, at most `limit`."""
        ...

    def players(self, after: str, limit: int) -> list[str]:
        """The next players that are vertices, in the order of their ids."""
        ...

    def keys(self, after: str, limit: int) -> list[Key]:
        """The next keys that the graph has edges or a total of, in the order of their ids `player#key`."""
        ...
