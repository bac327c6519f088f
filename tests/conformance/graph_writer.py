"""A process that syncs version after version until it is killed: `python -m conformance.graph_writer FOLDER FIRST`.

It prints each version when the graph has it.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from conformance.graph import SCHEMA, edges_of
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.core.model import Key
from playerstate.ports.graph import EdgesOfKey

KEYS = [Key(f"player-{n}", state_key) for n in range(10) for state_key in ("friends", "party", "guild")]


def targets_at(total: int) -> list[str]:
    """The targets of every key at a version: some stay, some go, some are new."""
    return sorted(f"target-{n}" for n in range(total, total + total % 7))


def version(total: int) -> list[EdgesOfKey]:
    """All keys at a version."""
    return [edges_of(key, total, *targets_at(total)) for key in KEYS]


def main(folder: Path, first: int) -> None:
    graph = LadybugGraph(folder, SCHEMA, buffer_pool_bytes=64 * 1024 * 1024)
    for total in count(first):
        graph.sync(version(total))
        print(total, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
