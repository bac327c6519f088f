"""Waiting for a node: until everything has taken effect, and until its processes have told of it."""

from __future__ import annotations

import copy
import time

from playerstate.core.answers import Stats
from playerstate.node import Node

DRAIN_STEP_S = 1.0
REPORTED_WITHIN_S = 0.25
"""Processes report a few times a second."""
SETTLED_WITHIN_S = 5.0


def drain(node: Node, *, timeout_s: float) -> bool:
    """Wait until everything that was accepted has taken effect; False if time runs out, or a stage has halted."""
    deadline = time.monotonic() + timeout_s
    while not node.service.drain(timeout_s=DRAIN_STEP_S):
        if time.monotonic() >= deadline or not node.alive:
            return False
    return True


def settled_stats(node: Node, *, outcomes_min: int = 0) -> Stats:
    """The figures of a node that is idle, once they no longer change, and have at least so many outcomes."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    stats = copy.deepcopy(node.stats())
    while time.monotonic() < deadline:
        time.sleep(REPORTED_WITHIN_S)
        before, stats = stats, copy.deepcopy(node.stats())
        unchanged = before.freshness_ms == stats.freshness_ms and _processed(before) == _processed(stats)
        if unchanged and sum(stats.outcomes.values()) >= outcomes_min:
            break
    return stats


def _processed(stats: Stats) -> dict[str, int]:
    return {name: stage.processed for name, stage in stats.stages.items()}
