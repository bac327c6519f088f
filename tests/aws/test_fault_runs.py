"""Regions on the emulator, driven by AWS's rules, under faults: all promises that the checkers know.

`PLAYERSTATE_AWS_SEEDS` says how many seeds to run, `PLAYERSTATE_AWS_STEPS` how long each is; a seed that failed is run
again with `PLAYERSTATE_SEED`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from aws.faults import Fault
from aws.plants import PLANTS
from aws.receiving import clients_of
from aws.runs.world import World
from ministack import MiniStack
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.core.resolution import RESOLVER
from playerstate.simulation.checkers import violations
from playerstate.simulation.history import History

SEEDS = int(os.environ.get("PLAYERSTATE_AWS_SEEDS", "2"))
STEPS = int(os.environ.get("PLAYERSTATE_AWS_STEPS", "200"))
FIRST_SEED = int(os.environ.get("PLAYERSTATE_SEED", "1"))
REGIONS_MAX = 2
SEEDS_MAX = 40
PLANT_STEPS = 200


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A Valkey server for each region."""
    with ExitStack() as stack:
        urls = []
        for n in range(REGIONS_MAX):
            server = ValkeyServer(tmp_path_factory.mktemp(f"valkey{n}"), maxmemory_mb=16, marker="runs")
            stack.callback(server.stop)
            server.start()
            urls.append(server.url)
        yield urls


@pytest.fixture
def make_world(ministack: MiniStack, caches: list[str]) -> Iterator[Callable[..., World]]:
    """Makes a world by seed and number of regions."""
    with ExitStack() as stack:

        def make_world(seed: int, regions: int) -> World:
            now_ms = time.time_ns() // 1_000_000
            world = World(seed, ministack, clients_of(ministack), caches[:regions], now_ms=now_ms)
            stack.callback(world.close)
            for region in world.regions.values():
                region.lose_cache()
            return world

        yield make_world


@pytest.mark.parametrize("regions", [1, 2])
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_promises(make_world: Callable[..., World], seed: int, regions: int) -> None:
    """Whatever goes wrong at whichever call."""
    world = run(make_world(seed, regions), STEPS)
    assert violations(world.settle()) == [], f"PLAYERSTATE_SEED={seed}: {said(world)}"


@pytest.mark.parametrize("name", PLANTS)
def test_planted_bugs_are_found(make_world: Callable[..., World], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker says which promise is broken, after a few seeds."""
    PLANTS[name].plant(monkeypatch)
    for seed in range(SEEDS_MAX):
        found = violations(run(make_world(seed, 1), PLANT_STEPS).settle())
        if {violation.partition(":")[0] for violation in found}.intersection(PLANTS[name].checkers):
            return
    raise AssertionError("no checker objects")


def test_what_may_happen_does_happen(make_world: Callable[..., World]) -> None:
    """Runs that nothing happens in prove nothing: every fault, every act, and what should come of them."""
    missing = {fault.name for fault in Fault} | {"it has died", "it has timed out", "its answer was lost"}
    missing |= {"insufficient", "OutcomeUnknown", "zombies", "combined", "resolved", "resharded"}
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS_MAX):
        world = run(make_world(seed, 2), STEPS)
        missing |= set(world.acts) if seed == FIRST_SEED else set()
        history = world.settle()
        assert violations(history) == [], f"PLAYERSTATE_SEED={seed}: {said(world)}"
        missing -= happened(world, history)
        if not missing:
            return
    raise AssertionError(f"never seen: {sorted(missing)}")


def happened(world: World, history: History) -> set[str]:
    """What was seen to happen in a run, by name."""
    causes = [committed.cause for committed in history.committed]
    found = {fault.name for fault in world.faults.seen} | set(world.done) | set(world.stumbles)
    found |= {error.partition(": ")[2] for region in world.regions.values() for error in region.told}
    found |= {cause.reason for cause in causes if cause.reason}
    others = {
        "zombies": world.zombies.count,
        "combined": sum(way.combined for way in world.ways.values()),
        "resolved": sum(cause.producer == RESOLVER for cause in causes),
        "resharded": sum(len(region.apply.shards.all) > 2 for region in world.regions.values()),
    }
    return found | {name for name, count in others.items() if count}


def run(world: World, steps: int) -> World:
    """Let so many things happen."""
    for _ in range(steps):
        world.step()
    return world


def said(world: World) -> str:
    """What a failure is to be read with."""
    told = {name: region.told[-5:] for name, region in world.regions.items()}
    return f"{dict(world.faults.seen)}, {told}"
