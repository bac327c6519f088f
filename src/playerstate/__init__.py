"""Keeps multiplayer-game player state consistent: every update once, cache and graph in step, all of it remembered.

import playerstate

with playerstate.open("./data") as node:
node.send({"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 5}]})
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from playerstate.errors import FolderInUse

if TYPE_CHECKING:
    from playerstate.api import PlayerState
    from playerstate.node import Options

__version__ = "0.1.0"

STARTING_NODE_S = 10.0


def open(  # noqa: A001 - as one opens a file, or a database
    path: str | Path = "./data", *, schema: str | None = None, options: Options | None = None
) -> PlayerState:
    """The node on a data folder: the one that runs already, or one in this process until `close`.

    `schema` is the text of a `game.toml`; without it the folder's own is used, or a starter's in a new folder. A node
    that runs already keeps its schema and options. Raises `StartRefused` if no node can run on the folder.
    """
    from playerstate.client import find_node
    from playerstate.node import Node

    folder = Path(path)
    deadline = time.monotonic() + STARTING_NODE_S
    while True:
        running = find_node(folder)
        if running is not None:
            return running
        try:
            return Node(folder, schema_text=schema, options=options).service
        except FolderInUse:  # by a node that does not listen yet, or no longer
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
