"""Link: notices -> the edges of the graph.

Notices come in any order and more than once. Each carries the whole view after its change, so a notice is all that is
needed to make a key's edges right, and the graph takes only those of a higher total than it has.
"""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.core.comparison import targets_of
from playerstate.core.model import Notice
from playerstate.core.schema import Schema
from playerstate.ports.graph import EdgesOfKey, Graph


def edges_of(notice: Notice, schema: Schema) -> EdgesOfKey | None:
    """The edges that a key makes at the version that a notice tells of; None for a key that never makes any."""
    spec = schema.keys.get(notice.state_key)
    if spec is None or spec.edge is None:
        return None
    return EdgesOfKey(notice.key, spec.edge, notice.total, targets_of(spec, notice.after))


class Link:
    """The stage. Being told the same again, or something older, changes nothing."""

    def __init__(self, schema: Schema, graph: Graph) -> None:
        self._schema = schema
        self._graph = graph

    def handle(self, notices: Sequence[Notice]) -> int:
        """Make the graph follow the notices; returns how many keys were behind. Raises `NotNow`."""
        batch = [edges for notice in notices if (edges := edges_of(notice, self._schema))]
        return self._graph.sync(batch) if batch else 0
