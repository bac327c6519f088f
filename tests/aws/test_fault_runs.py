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

from aws.receiving import clients_of
from aws.runs.world import World
from ministack import MiniStack
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.simulation.checkers import violations

SEEDS = int(os.environ.get("PLAYERSTATE_AWS_SEEDS", "2"))
STEPS = int(os.environ.get("PLAYERSTATE_AWS_STEPS", "250"))
FIRST_SEED = int(os.environ.get("PLAYERSTATE_SEED", "1"))
REGIONS_MAX = 2


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
    world = make_world(seed, regions)
    for _ in range(STEPS):
        world.step()
    history = world.settle()
    told = {name: region.told[-5:] for name, region in world.regions.items()}
    assert violations(history) == [], f"PLAYERSTATE_SEED={seed}: {world.faults.seen}, {told}"
