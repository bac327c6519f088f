"""The function of verification: one check of a run, which ends in time, and says what it could not do."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from aws.cloud import Told
from playerstate.aws.verifying import Verifying
from playerstate.backends.aws.emf import FINDINGS, KEYS_COMPARED, NOT_CHECKED, REPAIRS
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.findings import Kind
from playerstate.core.lookups import decode_lookup
from playerstate.core.model import Key, View
from playerstate.core.suspicions import Suspicions
from playerstate.errors import Unavailable
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Verified, Verify
from playerstate.stages.verify_once import VerifyOnce
from playerstate.stages.walk import Walk
from stages.world import REGION, World, add, update


def away(*_: Any, **__: Any) -> Any:
    raise Unavailable("it is away")


class Checked(World):
    def __init__(self) -> None:
        super().__init__()
        self.told = Told()
        self.rechecks = MemoryQueue(self.clock, Random(0))
        self.put_updates(add(1))
        self.step_all()
        self.put_updates(add(1, sequence=2))
        self.step_all()
        self.verifying = Verifying(self.patient(), self.rechecks, self.clock, self.told, sample_keys=100, checks_max=10)

    def patient(self) -> VerifyOnce:
        compared = Verified(self.store, self.store.changes, self.checkpoints, self.cache, self.graph, self.audit)

        def begin(repair: bool) -> Inquiry:
            verify, repairs = Verify(self.schema, REGION, compared), Repairs(self.schema, REGION, compared, self.clock)
            return Inquiry(REGION, verify, repairs, self.findings, self.clock, Suspicions(lambda _: 300_000))

        return VerifyOnce(Walk(compared), begin, self.store.count, Random(0), lambda _: None)


def test_a_run_counts_to_its_end() -> None:
    """Ten checks, each with what the one before returned; the last says that there is no other."""
    world = Checked()
    state: Any = {"version": "0", "detail-type": "Scheduled Event"}  # what the schedule hands over
    said = []
    for _ in range(10):
        state = world.verifying(state)
        world.clock.advance(5_000)
        said.append((state["check"], state["again"]))
        assert state["keys"] == 1
    assert said == [(n, n < 10) for n in range(1, 11)]


def test_a_slow_run_ends_before_the_next_overlaps() -> None:
    """A run that has taken 55 s has no other check, however few it made."""
    world = Checked()
    state = world.verifying({})
    world.clock.advance(54_000)
    assert world.verifying(state)["again"] is True
    world.clock.advance(1_000)
    assert world.verifying(state)["again"] is False


@pytest.mark.parametrize(
    "event", [None, [], {"check": "1"}, {"check": -1, "began_at": 5}, {"check": 3}, {"check": 1, "began_at": 2**62}]
)
def test_anything_else_begins_a_run(event: Any) -> None:
    """A state that this function has not returned is no state of a run."""
    assert Checked().verifying(event)["check"] == 1


def test_a_disagreement_is_found_and_told() -> None:
    """It is on record, put right, and counted by place and kind."""
    world = Checked()
    world.cache.replace([View("ada", "gold", f"{REGION}:2", msgspec.Raw(b"99"))])
    assert world.verifying({})["findings"] == 1
    (finding,) = world.findings.list()
    assert finding.kind is Kind.DIVERGED
    assert world.value("ada", "gold") == 2
    assert world.told.total(FINDINGS, "cache", "diverged") == 1
    assert world.told.total(REPAIRS, "repaired") == 1


def test_what_lags_is_handed_over_and_no_finding() -> None:
    """An older version may be on its way: it is looked at again, a minute later."""
    world = Checked()
    world.cache.replace([View("ada", "gold", f"{REGION}:1", msgspec.Raw(b"1"))])
    assert world.verifying({})["findings"] == 0
    assert world.rechecks.receive(1, visibility_s=1) == []
    world.clock.advance(60_000)
    (message,) = world.rechecks.receive(1, visibility_s=1)
    ((seen,),) = [lookup.differences for lookup in decode_lookup(message.body)]
    assert (seen.difference.key, seen.difference.found) == (Key("ada", "gold"), f"{REGION}:1")


def test_a_store_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, and what was not compared is counted."""
    world = Checked()
    monkeypatch.setattr(world.store, "sample", away)
    state = world.verifying({})
    assert state["not_checked"] == {"it is away": 1}
    assert state["again"] is True
    assert world.told.total(NOT_CHECKED) == 100


def test_what_could_not_be_put_right_is_handed_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later checks meet it again: it is not counted again, nor followed by one message more, until it is put right."""
    world = Checked()
    world.cache.replace([View("ada", "gold", f"{REGION}:2", msgspec.Raw(b"99"))])
    with monkeypatch.context() as patch:
        patch.setattr(world.cache, "repair", away)
        for findings in (1, 0, 0):
            assert world.verifying({})["findings"] == findings
            world.clock.advance(5_000)
    assert (world.told.total(FINDINGS, "cache", "diverged"), world.told.total(REPAIRS, "failed")) == (1, 1)
    assert world.rechecks.depth() == 1
    world.clock.advance(60_000)
    (message,) = world.rechecks.receive(1, visibility_s=1)
    ((seen,),) = [lookup.differences for lookup in decode_lookup(message.body)]
    assert (seen.difference.key, seen.difference.kind) == (Key("ada", "gold"), Kind.DIVERGED)
    world.verifying({})
    assert (world.told.total(FINDINGS, "cache", "diverged"), world.told.total(REPAIRS, "repaired")) == (1, 1)


def test_a_silent_part_is_asked_once_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for every ten players; the others are compared, and what was not is counted."""
    world = Checked()
    for n in range(40):
        world.put_updates(update({"player_id": f"player-{n}", "op": "add", "n": 1}))
    world.step_all()
    asked: list[object] = []

    def silent(players: object) -> Any:
        asked.append(players)
        raise Unavailable("no graph")

    monkeypatch.setattr(world.graph, "inspect", silent)
    state = world.verifying({})
    assert len(asked) == 1
    compared = world.told.total(KEYS_COMPARED, "store")
    assert compared == world.told.total(KEYS_COMPARED, "cache") > 20
    assert state["not_checked"]["graph does not answer"] == world.told.total(NOT_CHECKED) == compared


def test_a_fault_at_one_player_spares_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of is counted, and everybody else is compared."""
    world = Checked()
    for n in range(5):
        world.put_updates(update({"player_id": f"player-{n}", "op": "add", "n": 1}))
    world.step_all()
    inspect = world.cache.inspect

    def fault(players: Any) -> Any:
        if "ada" in players:
            raise TypeError("nobody thought of that")
        return inspect(players)

    monkeypatch.setattr(world.cache, "inspect", fault)
    states = [world.verifying({}) for _ in range(5)]  # ada may not be drawn each time
    state = next(state for state in states if state["not_checked"])
    assert state["not_checked"] == {"a player could not be compared (TypeError)": 1}
    assert world.told.total(KEYS_COMPARED, "cache") > 0
