"""Verifying on demand: page by page through everything, or a sample, until it is clear what is wrong."""

from __future__ import annotations

import msgspec
import pytest

from playerstate.core.findings import Kind, Repair
from playerstate.core.model import Key, Update, View
from playerstate.stages.verify_once import KEYS_A_PAGE_MAX
from stages.world import REGION, World, update

PLAYERS = [f"player-{n:02}" for n in range(30)]


def earn(player_id: str, n: int, *, sequence: int = 1) -> Update:
    return update({"player_id": player_id, "op": "add", "n": n}, sequence=sequence)


def lived_in() -> World:
    """Thirty players with gold, all of them whole in the cache."""
    world = World()
    for player_id in PLAYERS:
        world.put_updates(earn(player_id, 5))
    world.step_all()
    return world


def tamper(world: World, player_id: str) -> None:
    """Have the cache show another amount at the same version."""
    world.cache.replace([View(player_id, "gold", f"{REGION}:1", msgspec.Raw(b"999"))])


@pytest.mark.parametrize("keys", [1, 7, 1000])
def test_a_walk_finds_everything_and_ends(keys: int) -> None:
    """In pages of any size; each key of the store is counted once, and what only the cache has is met too."""
    world = lived_in()
    tamper(world, PLAYERS[3])
    tamper(world, PLAYERS[29])
    world.cache.put([View("nobody", "gold", f"{REGION}:1", msgspec.Raw(b"1"))])
    once, cursor, counted, found = world.verify_once(), "", 0, []
    for _ in range(200):
        page = once.page(cursor, keys=keys, repair=True)
        counted += page.keys
        found += page.findings
        cursor = page.cursor
        if not cursor:
            break
    assert (cursor, counted) == ("", len(PLAYERS))
    kinds = {finding.key: (finding.kind, finding.repair) for finding in found}
    assert kinds == {
        Key(PLAYERS[3], "gold"): (Kind.DIVERGED, Repair.REPAIRED),
        Key(PLAYERS[29], "gold"): (Kind.DIVERGED, Repair.REPAIRED),
        Key("nobody", "gold"): (Kind.ORPHAN, Repair.REPAIRED),
    }
    assert world.findings.count() == len(found) == 3
    assert world.value(PLAYERS[3], "gold") == 5


def test_without_repair_nothing_changes_and_nothing_is_recorded() -> None:
    """What is found is told, and left to whoever asked."""
    world = lived_in()
    tamper(world, PLAYERS[0])
    (finding,) = world.verify_once().page("", keys=KEYS_A_PAGE_MAX, repair=False).findings
    assert (finding.kind, finding.repair) == (Kind.DIVERGED, Repair.LEFT)
    assert (world.value(PLAYERS[0], "gold"), world.findings.count()) == (999, 0)


def test_what_only_lags_is_told_as_that() -> None:
    """What has been applied and not projected is older in the cache, and no finding."""
    world = lived_in()
    world.put_updates(earn(PLAYERS[0], 7, sequence=2))
    apply, *_ = world.consumers()
    apply.step()
    page = world.verify_once().page("", keys=KEYS_A_PAGE_MAX, repair=True)
    assert (page.lagging, page.findings) == ({"cache": 1}, [])
    world.step_all()
    assert world.verify_once().page("", keys=KEYS_A_PAGE_MAX, repair=True).lagging == {}


def test_what_its_way_has_passed_does_not_lag_but_is_stale() -> None:
    """An older view that was written back: nothing is on its way that could explain it, and nobody waits for that."""
    world = lived_in()
    key = Key(PLAYERS[0], "gold")
    earlier = world.cache.get(key)
    assert earlier is not None
    world.put_updates(earn(PLAYERS[0], 7, sequence=2))
    world.step_all()
    world.cache.replace([earlier])
    page = world.verify_once().page("", keys=KEYS_A_PAGE_MAX, repair=True)
    assert [(one.kind, one.repair) for one in page.findings] == [(Kind.STALE, Repair.REPAIRED)]


def test_a_sample_is_of_about_so_many_keys() -> None:
    """Some keys of the store, of cache and graph as well; none where there are none."""
    world = lived_in()
    page = world.verify_once().sample(10, repair=True)
    assert (page.keys_total, page.cursor) == (len(PLAYERS), "")
    assert 5 <= page.keys <= 10  # some may be drawn twice
    assert page.keys <= page.compared["store"] <= 2 * 10
    assert World().verify_once().sample(10, repair=True).keys == 0


def test_a_call_that_has_no_time_left_says_so() -> None:
    """Ten players are looked at, and then the time is over: the others are counted as not checked."""
    world = lived_in()
    times = iter([0.0, 0.0, 20.0])
    once = world.verify_once(time_max_s=20, time_s=lambda: next(times))
    page = once.page("", keys=KEYS_A_PAGE_MAX, repair=True)
    assert page.compared["store"] == 10
    assert page.not_checked == {"there was no time for all players": 20}
