"""Erasing with several regions: all follow, whatever was on its way, and nothing comes back."""

from __future__ import annotations

import msgspec
import pytest

from playerstate.core.model import Key
from playerstate.core.row import Row
from playerstate.core.wire import row_readers
from stages.regions import KEYS, REGIONS, SCHEMA, Regions
from stages.world import NOW_MS, update

BAG, NAME = Key("ada", "bag"), Key("ada", "name")
READERS = row_readers(SCHEMA)
MINUTE_MS = 60_000


def row(world: Regions, region: str, key: Key, *, owner: str | None = None) -> Row[object]:
    return READERS[key.state_key].decode(world[region].store.load([key])[key][owner or region])


def name(world: Regions, region: str, value: str, *, sequence: int = 1, producer: str = "game-1") -> str:
    op = {"state_key": "name", "op": "set", "value": value}
    return world.send(region, update(op, producer=producer, sequence=sequence, sent_at=world.clock.now_ms() + 1))


def test_a_row_that_was_left_behind_follows() -> None:
    """The resolver writes it anew, without a step and without what it held, and then there is nothing left to do."""
    world = Regions()
    name(world, "a", "Ada")
    world.settle()
    name(world, "b", "Ada the Second", producer="game-2")
    assert world.erase("a", NAME) == "applied"
    world.carry("a", "b")
    assert world["b"].view(NAME).decoded() is None
    assert row(world, "b", NAME).epoch == 0
    assert [world.resolve("b"), world.resolve("b")] == [1, 0]
    followed = row(world, "b", NAME)
    assert (followed.epoch, followed.vector, followed.because) == (1, {"a": 2, "b": 1}, [])
    assert b"Ada" not in world["b"].store.load([NAME])[NAME]["b"]
    world.settle()
    assert all(row(world, region, NAME, owner=owner).epoch == 1 for region in REGIONS for owner in ("a", "b"))


def test_applying_follows_too() -> None:
    """An update that comes after the erasure has arrived stands on the new epoch."""
    world = Regions()
    name(world, "b", "Ada")
    world.carry("b", "a")
    world.erase("a", NAME)
    world.carry("a", "b")
    assert name(world, "b", "Eve", sequence=2) == "applied"
    assert (row(world, "b", NAME).epoch, world["b"].view(NAME).decoded()) == (1, "Eve")
    world.settle()
    assert {world[region].view(NAME).decoded() for region in REGIONS} == {"Eve"}


@pytest.mark.parametrize("seed", range(6))
def test_what_is_concurrent_with_an_erasure_goes_with_it(seed: int) -> None:
    """Whatever arrives first: a region that had not heard of the erasure loses what it did meanwhile, everywhere."""
    world = Regions()
    ore = {"state_key": "bag", "op": "add", "item": "ore", "n": 3}
    for region in REGIONS:
        world.send(region, update(ore, producer=region))
    world.carry("b", "c")
    world.erase("a", BAG)
    world.send("b", update(ore, producer="b", sequence=2))
    world.settle(seed=seed)
    assert {msgspec.json.encode(world[region].view(BAG)) for region in REGIONS} == {
        msgspec.json.encode(world["a"].view(BAG))
    }
    assert world["a"].view(BAG).decoded() == {}
    for region in REGIONS:
        for sequence in (1, 2):
            assert world.send("c", update(ore, producer=region, sequence=sequence)) == "expired"


@pytest.mark.parametrize("seed", range(6))
def test_regions_that_erase_at_the_same_time_come_to_rest(seed: int) -> None:
    """What each of them applied since its own erasure stays; rows are the same everywhere."""
    world = Regions()
    for region in REGIONS:
        name(world, region, f"old {region}", producer=region)
    world.carry("a", "b")
    for region in ("a", "b"):
        for key in KEYS:
            world.erase(region, key)
    world.clock.advance(10)
    ore = {"state_key": "bag", "op": "add", "item": "ore", "n": 3}
    for region in ("a", "b"):
        sent_at = world.clock.now_ms() + 1
        assert world.send(region, update(ore, producer=region, sent_at=sent_at)) == "applied"
    world.settle(seed=seed)
    assert [world[region].view(BAG).decoded() for region in REGIONS] == [{"ore": 6}] * 3
    assert [world[region].view(NAME).decoded() for region in REGIONS] == [None] * 3
    for key in KEYS:
        assert world["a"].store.load([key]) == world["b"].store.load([key]) == world["c"].store.load([key])


def test_an_update_in_flight_in_another_region_does_nothing() -> None:
    """It was accepted there before the erasure, and is applied after its row has come."""
    world = Regions()
    waiting = update({"state_key": "name", "op": "set", "value": "Ada"}, sent_at=world.clock.now_ms())
    world.erase("a", NAME)
    world.carry("a", "b")
    assert world.send("b", waiting) == "expired"
    assert world["b"].view(NAME).decoded() is None


def test_rights_begin_anew_at_their_home() -> None:
    """Promise 4: an erased bounded counter is as at first; what was given away before is of no use any more."""
    world, gold = Regions(), Key("ada", "gold")
    assert world.send("a", update({"op": "subtract", "n": 4})) == "refused:rights_elsewhere"
    world.settle()
    world.erase("a", gold)
    world.settle()
    spend = {"op": "subtract", "n": 10}
    later = NOW_MS + MINUTE_MS
    world.clock.advance(MINUTE_MS)
    assert world.send("a", update(spend, sequence=2, sent_at=later)) == "refused:rights_elsewhere"
    assert world.send("b", update(spend, producer="b", sent_at=later)) == "applied"
    assert world.send("b", update(spend, producer="b", sequence=2, sent_at=later)) == "refused:insufficient"
