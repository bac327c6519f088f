"""Runs under seeds, and the shortest one that still fails."""

from __future__ import annotations

from typing import NamedTuple

from playerstate.simulation.checkers import violations
from playerstate.simulation.history import History
from playerstate.simulation.world import World


class Run(NamedTuple):
    """One run: what was seen, and what is wrong with it."""

    seed: int
    steps: int
    history: History
    violations: list[str]


def run(seed: int, steps: int, *, regions: int = 3) -> Run:
    """Let so many things happen, bring all to rest, and check."""
    world = World(seed, regions=regions)
    for _ in range(steps):
        world.step()
    history = world.settle()
    return Run(seed, steps, history, violations(history))


def shortest(failed: Run, *, regions: int = 3) -> Run:
    """The run of the same seed with as few steps as halving can find, that is still wrong."""
    best = failed
    low, high = 0, failed.steps
    while low < high:
        middle = (low + high) // 2
        tried = run(failed.seed, middle, regions=regions)
        if tried.violations:
            best, high = tried, middle
        else:
            low = middle + 1
    return best
