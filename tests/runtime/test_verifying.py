"""Continuous verification, by a clock that is moved by hand: when it looks at what, its bounds, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import structs

from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.core.answers import VerificationStats
from playerstate.core.findings import CACHE, Repair
from playerstate.core.model import Key, View
from playerstate.core.schema import Edge
from playerstate.errors import Unavailable
from playerstate.ports.graph import EdgesOfKey
from playerstate.runtime import verifying
from playerstate.runtime.consumers import Report
from playerstate.runtime.verifying import (
    BEHIND_MAX,
    CHANGES_MAX,
    CHANGES_PER_S_MAX,
    WALK_AGAIN_MS,
    VerifyConsumer,
)
from playerstate.settings import Settings, Verification
from playerstate.stages.apply import Apply
from stages.test_verify import NEWER
from stages.verifying import Silent, Watch, watch
from stages.world import REGION, World, records, update

STEP_MS = 50


class Driven:
    """A consumer over a world, whose time is moved by hand. `looked` lists the players of each look."""

    def __init__(self, world: World, **parts: Any) -> None:
        self.world = world
        self.settings = Settings(Verification(sweep_share=0.0, sample_every_s=1e9))
        self.now = 0
        self.watch: Watch = watch(world, **parts)
        self.looked: list[list[str]] = []
        look = self.watch.inquiry.look

        def noted(players: Sequence[str], now: int) -> Any:
            assert now == self.now
            self.looked.append(list(players))
            self.now += self.look_ms
            return look(players, now)

        self.look_ms = 0
        self.watch.inquiry.look = noted  # type: ignore[method-assign]
        self.consumer = VerifyConsumer(
            self.watch.parts,
            self.watch.inquiry,
            world.clock,
            lambda: self.settings,
            random=Random(1),
            now_ms=lambda: self.now,
        )
        self.consumer.step()
        self.looked.clear()

    def set(self, **verification: Any) -> None:
        self.settings = Settings(structs.replace(self.settings.verification, **verification))

    def pass_s(self, seconds: float) -> None:
        """Let time pass, in which the consumer is driven as a loop does."""
        for _ in range(int(seconds * 1000 / STEP_MS)):
            self.now += STEP_MS
            self.world.clock.advance(STEP_MS)
            while self.consumer.step():
                pass

    @property
    def stats(self) -> VerificationStats:
        report = Report()
        self.consumer.tell(report)
        return report.verification

    def send(self, *players: str, sequence: int = 1) -> None:
        """Gold for players, applied; nobody follows yet."""
        before = len(records(self.world))
        self.world.put_updates(
            *(update({"player_id": name, "op": "add", "n": 5}, sequence=sequence) for name in players)
        )
        self.world.apply.handle(records(self.world)[before:])

    def everybody(self) -> set[str]:
        return {player_id for players in self.looked for player_id in players}


def shares(stats: VerificationStats) -> list[tuple[int, int]]:
    return [(stats.right_within_s[age], stats.changes_judged[age]) for age in ("1", "5", "60", "300")]


@pytest.fixture
def driven() -> Driven:
    return Driven(World())


def test_every_change_is_looked_up(driven: Driven) -> None:
    """Promise 8: a second after it was written; what can be seen then is right at every age."""
    driven.send("ada", "eve")
    driven.world.step_all()
    driven.pass_s(0.9)
    assert (driven.stats.changes_checked, driven.stats.waiting) == (0, 2)
    driven.pass_s(0.2)
    assert (driven.stats.changes_checked, driven.stats.waiting) == (2, 0)
    assert shares(driven.stats) == [(2, 2)] * 4
    assert (driven.stats.misses, driven.stats.shed, driven.looked) == (0, 0, [])
    assert driven.consumer.stats.processed == 2


def test_what_cannot_be_seen_is_looked_up_again(driven: Driven) -> None:
    """At five seconds, a minute, five minutes; and from five seconds on the player is looked at closely."""
    driven.send("ada")
    driven.world.step_all()
    driven.send("ada", sequence=2)
    driven.pass_s(4)
    assert (shares(driven.stats)[0], driven.looked) == ((1, 2), [])
    driven.pass_s(3)
    assert driven.looked[0] == ["ada"]
    assert driven.stats.suspects == 1
    driven.world.step_all()
    driven.pass_s(60)
    assert shares(driven.stats) == [(1, 2), (1, 2), (2, 2), (2, 2)]
    assert (driven.stats.suspects, driven.stats.findings) == (0, {})


def test_changes_that_were_taken_in_late_are_as_old_as_they_are(driven: Driven) -> None:
    """A change that has lain there for a while has its second behind it; a clock that jumped says nothing else."""
    driven.send("ada")
    driven.world.step_all()
    driven.world.clock.advance(100_000_000)
    driven.consumer.step()
    assert (driven.stats.changes_checked, shares(driven.stats)) == (1, [(1, 1)] * 4)
    driven.send("eve")
    driven.world.clock.advance(-150_000_000)
    driven.world.step_all()
    driven.consumer.step()
    assert driven.stats.changes_checked == 1
    driven.pass_s(1)
    assert driven.stats.changes_checked == 2


def test_changes_are_looked_up_in_the_order_of_their_age(driven: Driven) -> None:
    """Whatever the order in which they were written down, by clocks that jump: none waits behind a younger one."""
    driven.send("ada")
    driven.world.clock.advance(-900)
    driven.send("eve")
    driven.world.clock.advance(900)
    driven.world.step_all()
    driven.pass_s(0.2)
    assert (driven.stats.changes_checked, driven.stats.waiting) == (1, 1)


def test_an_evicted_player_is_a_miss(driven: Driven) -> None:
    """Promise 8: it is counted, and nothing else comes of it."""
    driven.send("ada")
    driven.world.step_all()
    driven.world.cache.evict("ada")
    driven.pass_s(400)
    assert (driven.stats.misses, shares(driven.stats)) == (1, [(0, 0)] * 4)
    assert (driven.looked, driven.stats.findings) == ([], {})


def test_changes_from_before_the_start_are_none(driven: Driven) -> None:
    """A consumer begins at the end; those are for samples and the walk."""
    driven.send("ada", "eve")
    later = Driven(driven.world)
    later.pass_s(3)
    assert (later.stats.changes_checked, later.stats.shed) == (0, 0)


def test_changes_of_a_newer_schema_are_none() -> None:
    """They are not in the cache, also where the player is said to be whole, and that is right."""
    world = World()
    driven = Driven(world)
    driven.send("ada")
    world.put_updates(update({"state_key": "pets", "op": "add", "elements": ["rex"]}, producer="newer"))
    Apply(NEWER, REGION, world.store, MemoryDeadLetters(), world.clock).handle(records(world)[-1:])
    world.step_all()
    world.cache.fill("ada", [], world.cache.begin_fill("ada"))
    driven.pass_s(400)
    assert (driven.stats.changes_checked, driven.stats.shed, shares(driven.stats)) == (1, 0, [(1, 1)] * 4)


def test_a_flood_is_let_go_and_counted(driven: Driven) -> None:
    """Of more changes a second than may be looked up some are let go; later ones are looked up again."""
    count = CHANGES_MAX + 1_000
    driven.send(*(f"p{n}" for n in range(count)))
    driven.world.step_all()
    while driven.consumer.step():
        pass
    assert (driven.stats.shed, driven.stats.waiting) == (1_000, CHANGES_MAX)
    assert driven.consumer.stats.processed == count
    driven.pass_s(2)
    assert driven.stats.changes_checked == CHANGES_MAX
    driven.send("ada")
    driven.world.step_all()
    driven.pass_s(2)
    assert (driven.stats.changes_checked, driven.stats.shed) == (CHANGES_MAX + 1, 1_000)


def test_a_steady_load_is_looked_up_up_to_its_rate(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be looked up in a second does not pile up for longer than one."""
    monkeypatch.setattr(verifying, "CHANGES_PER_S_MAX", 20)
    driven.consumer._allowed = 0.0
    driven.pass_s(60)
    driven.send(*(f"p{n}" for n in range(100)))
    driven.world.step_all()
    driven.pass_s(10)
    assert (driven.stats.changes_checked, driven.stats.shed) == (20, 80)
    assert CHANGES_PER_S_MAX > CHANGES_MAX


def test_who_is_too_far_behind_lets_go_of_the_oldest(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many may wait is bounded, and what is let go is counted."""
    monkeypatch.setattr(verifying, "BEHIND_MAX", 30)
    driven.send(*(f"p{n}" for n in range(100)))
    driven.world.step_all()
    driven.pass_s(2)
    assert (driven.stats.shed, driven.stats.changes_checked) == (70, 30)
    assert BEHIND_MAX >= CHANGES_MAX


def test_changes_that_were_trimmed_are_counted(driven: Driven) -> None:
    """Others need them no more, and delete them; that they were not checked is said, once."""
    driven.send("a", "b", "c", "d", "e")
    driven.world.step_all()
    driven.world.store.changes.trim(driven.world.store.changes.head() - 2)
    driven.pass_s(2)
    assert (driven.stats.shed, driven.stats.changes_checked) == (3, 2)
    driven.send("f")
    driven.world.step_all()
    driven.world.store.changes.trim(driven.world.store.changes.head())
    driven.pass_s(2)
    driven.send("g")
    driven.world.step_all()
    driven.pass_s(2)
    assert (driven.stats.shed, driven.stats.changes_checked) == (4, 3)


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
        assert all(len(players) <= 10 for players in driven.looked)
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
    driven.consumer._parts = driven.consumer._parts._replace(cache=Silent(), graph=Silent())
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
