"""Runs under seeds, and the shortest one that still fails."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from playerstate.simulation.checkers import violations
from playerstate.simulation.history import History
from playerstate.simulation.world import World

TRIES_MAX = 300
"""How many runs the search for a shorter one may take."""


class Run(NamedTuple):
    """One run: what was seen, and what is wrong with it. At the `idle` steps nothing happened but that time passed.

    `trace` tells what came of each step, a line a step at which anything did.
    """

    seed: int
    steps: int
    history: History
    violations: list[str]
    trace: list[str]
    idle: frozenset[int]


def run(seed: int, steps: int, *, regions: int = 3, idle: Collection[int] = ()) -> Run:
    """Let so many things happen, bring all to rest, and check."""
    world = World(seed, regions=regions)
    for step in range(1, steps + 1):
        world.step(idle=step in idle)
    history = world.settle()
    return Run(seed, steps, history, violations(history), world.trace, frozenset(idle))


def shortest(failed: Run, *, regions: int = 3, tries_max: int = TRIES_MAX) -> Run:
    """A run of the same seed that is still wrong, with as few steps as a bounded search finds.

    First the end is cut off by halving; then steps are left out, many at a time, then fewer (Zeller and Hildebrandt
    2002, "Simplifying and isolating failure-inducing input").
    """
    best, tries = _cut_short(failed, regions)
    size = best.steps // 2
    while size and tries < tries_max:
        active = [step for step in range(1, best.steps + 1) if step not in best.idle]
        for start in range(0, len(active), size):
            tries += 1
            tried = run(best.seed, best.steps, regions=regions, idle=best.idle | {*active[start : start + size]})
            if tried.violations:
                best = tried
            if tries >= tries_max:
                break
        size //= 2
    return best


def _cut_short(failed: Run, regions: int) -> tuple[Run, int]:
    """With fewer steps, and how many runs that took."""
    best, tries = failed, 0
    low, high = 0, failed.steps
    while low < high:
        middle = (low + high) // 2
        tried = run(failed.seed, middle, regions=regions)
        tries += 1
        if tried.violations:
            best, high = tried, middle
        else:
            low = middle + 1
    return best, tries
