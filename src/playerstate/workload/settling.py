"""A node's figures when its processes have told of everything, which they do a few times a second."""

from __future__ import annotations

import copy
import time

from playerstate.core.answers import Stats
from playerstate.node import Node

REPORTED_WITHIN_S = 0.25
SETTLED_WITHIN_S = 2.0


def settled_stats(node: Node) -> Stats:
    """The figures of a node that is idle, once they no longer change."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    stats = copy.deepcopy(node.stats())
    while time.monotonic() < deadline:
        time.sleep(REPORTED_WITHIN_S)
        before, stats = stats, copy.deepcopy(node.stats())
        if before.freshness_ms == stats.freshness_ms and _processed(before) == _processed(stats):
            break
    return stats


def _processed(stats: Stats) -> dict[str, int]:
    return {name: stage.processed for name, stage in stats.stages.items()}
