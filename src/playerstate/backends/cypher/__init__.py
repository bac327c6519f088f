"""The graph's queries, in openCypher: one file a query, whose header says what it takes and gives back.

They keep to the part of the language that Ladybug (embedded) and Amazon Neptune share; `docs/adding-a-backend.md` lists
what that leaves out. What each needs beside it:

- **Tables.** Ladybug wants every kind of vertex and label of edges declared, with a primary key (`ladybug/tables.py`).
  Neptune wants nothing, and keeps only its own ids of vertices unique, `~id`.
- **Transactions.** `sync` runs several of these queries in one transaction of Ladybug's. Neptune's HTTPS endpoint takes
  one query a transaction, so comparing and setting a total, and syncing the edges, is one query there.
- **Batches.** Ladybug looks up single vertices by key, also under UNWIND if each stands in a MATCH of its own, but
  answers "UNWIND, then one hop" by reading the whole edge table. So a hop starts at one vertex, given as a parameter.
  For Neptune, where every query is a round trip, the same patterns have an UNWIND before them.
- **Filters.** A condition on the far end of a hop makes Ladybug read that end's whole table first; behind a WITH it is
  applied to what the hop found. Neptune takes both alike.

So Neptune has queries of its own, in `neptune/`, and shares `keys` and `players`.

Labels and kinds cannot be parameters in openCypher: the files have `LABEL` and `KIND` in their places. Everything else
is a parameter.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from playerstate.core.model import Key
from playerstate.errors import InvariantViolated

PLAYER = "Player"
SYNCED = "Synced"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@cache
def query(name: str, *, label: str = PLAYER, kind: str = PLAYER) -> str:
    """The query of a name such as `targets`, about edges of a label and the vertices of a kind that they lead to."""
    for identifier in (label, kind):
        if not _NAME.fullmatch(identifier):
            raise InvariantViolated(f"{identifier!r} is no graph label")
    text = files("playerstate.backends.cypher").joinpath(f"{name}.cypher").read_text("utf-8")
    return text.replace("`LABEL`", f"`{label}`").replace("`KIND`", f"`{kind}`")


def synced_id(key: Key) -> str:
    """The id of the vertex that a key's total stands on."""
    return f"{key.player_id}#{key.state_key}"


def key_of(vertex_id: str) -> Key:
    """The key whose total stands on a vertex. A state key holds no `#`, a player id may."""
    player_id, _, state_key = vertex_id.rpartition("#")
    return Key(player_id, state_key)
