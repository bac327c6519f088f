"""Continuous verification: every change is looked up at its ages, within bounds, and counted honestly."""

from __future__ import annotations

import pytest

from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.runtime import verifying
from playerstate.runtime.verifying import (
    BEHIND_MAX,
    CHANGES_MAX,
    CHANGES_PER_S_MAX,
)
from playerstate.stages.apply import Apply
from runtime.driven import Driven, shares
from stages.test_verify import NEWER
from stages.world import REGION, World, records, update


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
    """A consumer begins where project has come to; those before are for samples and the walk, those behind are due."""
    driven.send("ada", "eve")
    driven.world.step_all()
    later = Driven(driven.world)
    later.pass_s(3)
    assert (later.stats.changes_checked, later.stats.shed) == (0, 0)


def test_changes_that_were_on_their_way_at_the_start_are_looked_up(driven: Driven) -> None:
    """Promise 8: a node that was killed between apply and project has all of them checked, once they are through."""
    world = driven.world
    driven.send("ada", "eve")
    apply, *_ = world.consumers()
    apply.step()
    later = Driven(world)
    later.pass_s(0.5)
    world.step_all()
    later.pass_s(3)
    assert (later.stats.changes_checked, later.stats.shed) == (2, 0)


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
    driven.consumer.step()
    assert (driven.stats.waiting, driven.stats.shed) == (20, 80)
    driven.pass_s(0.5)
    driven.send(*(f"q{n}" for n in range(100)))
    driven.world.step_all()
    driven.consumer.step()
    assert (driven.stats.waiting, driven.stats.shed) == (30, 170)
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
