"""The tables that Ladybug wants declared: one for each kind of vertex, one for each label of edges."""

from __future__ import annotations

from collections.abc import Collection

from playerstate.backends.cypher import PLAYER, SYNCED
from playerstate.backends.ladybug.database import Database
from playerstate.core.schema import Edge
from playerstate.errors import SchemaRefused


def declare_tables(database: Database, edges: Collection[Edge]) -> None:
    """Make the tables that are not there yet.

    Raises `SchemaRefused` if two of them would have one name. Names are as the schema allows them: letters, digits, _.
    """
    kinds = {PLAYER} | {edge.to for edge in edges}
    labels = {edge.label for edge in edges}
    _refuse_clashes([SYNCED, *sorted(kinds), *sorted(labels)])
    database.run(
        f"CREATE NODE TABLE IF NOT EXISTS `{SYNCED}`(id STRING PRIMARY KEY, total INT64, label STRING, kind STRING)"
    )
    for kind in sorted(kinds):
        database.run(f"CREATE NODE TABLE IF NOT EXISTS `{kind}`(id STRING PRIMARY KEY)")
    for label, kind in sorted((edge.label, edge.to) for edge in edges):
        database.run(f"CREATE REL TABLE IF NOT EXISTS `{label}`(FROM `{PLAYER}` TO `{kind}`, key STRING)")
        database.run(f"ALTER TABLE `{label}` ADD IF NOT EXISTS FROM `{PLAYER}` TO `{kind}`")


def _refuse_clashes(names: Collection[str]) -> None:
    """Ladybug has one space of names for vertices and edges, and takes `Friend` for `FRIEND`."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise SchemaRefused(
                f"The schema is wrong: the graph cannot tell {name!r} from {seen[folded]!r}; labels of edges and kinds "
                f"of vertices need names of their own, {PLAYER!r} and {SYNCED!r} are taken"
            )
        seen[folded] = name
