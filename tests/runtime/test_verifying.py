"""Continuous verification: samples, what they find, the walk, and what happens while a part does not answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from playerstate.core.findings import CACHE, Repair
from playerstate.core.model import Key, View
from playerstate.core.schema import Edge
from playerstate.errors import Unavailable
from playerstate.ports.graph import EdgesOfKey
from playerstate.runtime.verifying import PLAYERS_AT_ONCE, WALK_AGAIN_MS
from playerstate.settings import Settings, Verification
from playerstate.stages.walk import Walk
from runtime.driven import Driven, shares
from stages.verifying import Silent
from stages.world import REGION, World


def test_samples_every_five_seconds() -> None:
    """As many keys as are set, and no sooner: of the store, and players whom only cache or graph have."""
    world = World()
    driven = Driven(world)
    driven.send(*(f"p{n}" for n in range(300)))
    world.step_all()
    driven.settings = Settings(Verification(sweep_share=0.0))
    driven.consumer._sample_at = 5_000
    for round_ in range(1, 4):
        driven.looked.clear()
        driven.pass_s(4.9)
        assert driven.looked == []
        driven.pass_s(0.1)
        assert 50 < len(driven.everybody()) <= 300, round_
        assert all(len(players) <= PLAYERS_AT_ONCE for players in driven.looked)
    assert driven.stats.keys_compared["store"] > 150
    driven.set(sample_every_s=60.0, sample_keys=3)
    driven.pass_s(5)
    driven.looked.clear()
    driven.pass_s(59)
    assert driven.looked == []
    driven.pass_s(1)
    assert 1 <= len(driven.everybody()) <= 9


@pytest.mark.parametrize("stored", [0, 1, 30])
def test_samples_find_what_only_cache_or_graph_have(stored: int) -> None:
    """Promise 8: orphans are drawn too, wherever their names stand, and also beside an empty store."""
    world = World()
    driven = Driven(world)
    driven.send(*(f"p{n}" for n in range(stored)))
    world.step_all()
    world.cache.put([View(name, "gold", "x:1", msgspec.Raw(b"1")) for name in ("aa", "zz")])
    world.graph.sync([EdgesOfKey(Key(name, "friends"), Edge("FRIEND"), 3, ["end"]) for name in ("ab", "zy")])
    driven.settings = Settings(Verification(sweep_share=0.0))
    driven.consumer._sample_at = 0
    driven.pass_s(120)
    assert driven.stats.findings == {"cache:orphan": 2, "graph:orphan": 2}
    assert (driven.stats.repairs, world.cache.players("aa", 1), world.graph.keys("", 9)) == (
        {Repair.REPAIRED: 4, Repair.GONE: 0},
        (["p0"] if stored else [], "p0" if stored else ""),
        [],
    )


def test_what_is_found_is_followed_up(driven: Driven) -> None:
    """Promise 8: a fault that a sample has met is confirmed and put right within seconds, whatever is sampled next."""
    driven.send("ada")
    driven.world.step_all()
    driven.world.cache.replace([View("ada", "gold", f"{REGION}:9", msgspec.Raw(b"7"))])
    driven.set(sample_every_s=1e9)
    driven.consumer._sample_at = driven.now
    driven.pass_s(3)
    assert driven.stats.findings == {"cache:ahead": 1}
    assert driven.stats.repairs == {Repair.REPAIRED: 1, Repair.GONE: 0}
    assert driven.world.value("ada", "gold") == 5


def test_repairing_can_be_switched_off(driven: Driven) -> None:
    """Findings stay open, and close when they were mended by hand."""
    driven.send("ada")
    driven.world.step_all()
    driven.world.cache.replace([View("ada", "gold", f"{REGION}:9", msgspec.Raw(b"7"))])
    driven.watch.repairs_wanted = False
    driven.consumer._sample_at = driven.now
    driven.pass_s(100)
    assert (driven.stats.open, driven.stats.suspects, driven.stats.findings) == (1, 0, {"cache:ahead": 1})
    driven.world.cache.evict("ada")
    driven.pass_s(31)
    assert (driven.stats.open, driven.stats.repairs) == (0, {Repair.LEFT: 1, Repair.GONE: 1})
    assert [f.repair for f in driven.watch.findings.list()] == [Repair.GONE]


def test_switched_off_nothing_is_done(driven: Driven) -> None:
    """No change, no sample, no walk; switched on again it begins with what is written from then on."""
    driven.set(enabled=False, sweep_share=0.05, sample_every_s=1.0)
    driven.send("ada", "eve")
    driven.world.step_all()
    driven.pass_s(100)
    assert driven.looked == []
    assert (driven.stats.changes_checked, driven.stats.waiting, driven.stats.shed, driven.stats.sweeps) == (0, 0, 0, 0)
    driven.set(enabled=True, sweep_share=0.0, sample_every_s=1e9)
    driven.pass_s(0.1)
    driven.send("joe")
    driven.world.step_all()
    driven.pass_s(2)
    assert (driven.stats.changes_checked, driven.stats.shed) == (1, 0)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_walk_keeps_to_its_share(share: float) -> None:
    """It meets everybody, over and over, and takes no more of the time than it may."""
    world = World()
    driven = Driven(world)
    driven.send(*(f"p{n:03}" for n in range(250)))
    world.step_all()
    driven.set(sweep_share=share)
    driven.look_ms = 4
    spent = 0
    for _ in range(4_000):
        before = len(driven.looked)
        driven.now += 10
        driven.consumer.step()
        spent += (len(driven.looked) - before) * driven.look_ms
    assert driven.everybody() == {f"p{n:03}" for n in range(250)}
    assert driven.stats.sweeps > 10
    assert 0 < driven.stats.sweep_s < 60
    assert 0.3 * share < spent / driven.now <= share


def test_how_far_the_walk_has_come(driven: Driven) -> None:
    """The keys of the present walk are counted, and counted anew by the next."""
    driven.send(*(f"p{n:03}" for n in range(250)))
    driven.world.step_all()
    driven.set(sweep_share=1.0)
    seen = []
    for _ in range(12):
        driven.now += 1
        driven.consumer.step()
        seen.append((driven.stats.sweep_keys, driven.stats.sweeps))
    assert seen[:3] == [(100, 0), (200, 0), (250, 0)]
    ended = seen.index((0, 1))
    assert set(seen[3:ended]) == {(250, 0)}
    assert seen[ended + 1] == (100, 1)
    assert driven.stats.sweep_s > 0


@pytest.mark.parametrize("part", ["cache", "graph"])
def test_a_walk_waits_for_a_part_that_does_not_answer(part: str) -> None:
    """It holds up nothing else, is said, and goes on from where it was."""
    world = World()
    driven = Driven(world)
    driven.send("ada")
    world.step_all()
    driven.set(sweep_share=1.0)
    silent = {part: Silent()}
    real = driven.consumer._walk._parts
    driven.consumer._walk._parts = real._replace(**silent)
    for n in range(20):
        driven.send("ada", sequence=n + 2)
        world.step_all()
        driven.pass_s(1)
    assert driven.stats.changes_checked >= 19
    assert driven.stats.sweeps == 0
    waits = driven.stats.not_checked[f"{part} does not answer"]
    assert 10 <= waits <= 20 * 1000 / WALK_AGAIN_MS
    driven.consumer._walk._parts = real
    driven.pass_s(2)
    assert driven.stats.sweeps > 0


def test_a_cache_that_does_not_answer_loses_no_check(driven: Driven) -> None:
    """Changes wait, and are looked up when it does; that they were not is said."""
    driven.send("ada", "eve")
    driven.world.step_all()
    real = driven.consumer._parts
    driven.consumer._parts = real._replace(cache=Silent())
    driven.pass_s(3)
    assert (driven.stats.changes_checked, driven.stats.waiting) == (0, 2)
    assert driven.stats.not_checked["cache does not answer"] > 0
    driven.consumer._parts = real
    driven.pass_s(1)
    assert (driven.stats.changes_checked, driven.stats.waiting) == (2, 0)
    assert shares(driven.stats) == [(0, 0), (2, 2), (2, 2), (2, 2)]


def test_samples_without_cache_and_graph(driven: Driven) -> None:
    """The store's are drawn all the same, and looked at where it can be done."""
    driven.send("ada")
    driven.world.step_all()
    parts = driven.consumer._parts._replace(cache=Silent(), graph=Silent())
    driven.consumer._parts, driven.consumer._walk = parts, Walk(parts)
    driven.consumer._sample_at = driven.now
    driven.pass_s(0.5)
    assert driven.everybody() == {"ada"}
    assert driven.stats.not_checked["graph does not answer"] == 1


def test_suspects_of_a_part_that_is_away_are_not_looked_at_all_the_time(driven: Driven) -> None:
    """Once a second each, not at every step, until it is back."""
    driven.send("ada")
    driven.world.step_all()
    driven.world.cache.replace([View("ada", "gold", f"{REGION}:9", msgspec.Raw(b"7"))])
    driven.consumer._sample_at = driven.now
    driven.pass_s(0.5)
    real: Any = driven.watch.verify._parts
    driven.watch.verify._parts = real._replace(cache=Silent())
    driven.looked.clear()
    driven.pass_s(30)
    assert 25 <= len(driven.looked) <= 31
    assert driven.stats.suspects == 1
    driven.watch.verify._parts = real
    driven.pass_s(4)
    assert driven.stats.findings == {f"{CACHE}:ahead": 1}


def test_a_player_that_cannot_be_compared_stops_nobody_else(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 8: something that nobody thought of lies at one player; it is counted, the walk goes on, eve is found."""
    driven.send("ada", "eve")
    driven.world.step_all()
    real = driven.watch.verify._compare

    def compare(look: Any, player_id: str, *found: Any) -> None:
        if player_id == "ada":
            raise TypeError("nobody thought of this")
        real(look, player_id, *found)

    monkeypatch.setattr(driven.watch.verify, "_compare", compare)
    driven.world.cache.replace([View("eve", "gold", f"{REGION}:9", msgspec.Raw(b"7"))])
    driven.set(sweep_share=1.0)
    driven.pass_s(10)
    assert driven.stats.sweeps > 0
    assert driven.stats.findings == {f"{CACHE}:ahead": 1}
    assert driven.stats.not_checked["a player could not be compared (TypeError)"] > 0


def test_a_store_that_does_not_answer_is_tried_again(driven: Driven) -> None:
    """The loop is told, and goes on from there: no change is lost."""
    driven.send("ada")
    driven.world.step_all()
    real = driven.consumer._parts
    driven.consumer._parts = real._replace(changes=Silent())
    with pytest.raises(Unavailable):
        driven.consumer.step()
    driven.consumer._parts = real
    driven.pass_s(2)
    assert (driven.stats.changes_checked, driven.stats.shed) == (1, 0)


def test_another_store_file_is_begun_at_its_end(driven: Driven) -> None:
    """Positions of another file mean nothing here."""
    driven.send("ada", "eve")
    driven.world.step_all()
    driven.pass_s(2)
    other = Driven(World())
    other.send("joe")
    driven.consumer._parts = driven.consumer._parts._replace(changes=other.world.store.changes, cache=other.world.cache)
    driven.pass_s(2)
    assert (driven.stats.changes_checked, driven.stats.shed) == (2, 0)
    other.send("joe", sequence=2)
    other.world.step_all()
    driven.pass_s(2)
    assert driven.stats.changes_checked == 3
