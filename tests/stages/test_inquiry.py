"""Inquiry: what is confirmed is put right and recorded once, whatever fails meanwhile; its account adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import structlog.testing
from msgspec import structs

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, STORE, Finding, Kind, Repair
from playerstate.core.model import Key, View
from playerstate.core.suspicions import Suspicions
from playerstate.errors import InvariantViolated, NotNow, OutcomeUnknown, Unavailable
from playerstate.stages import inquiry
from stages.verifying import Silent, Watch, watch
from stages.world import REGION, World, add, update

PLAYERS = [f"p{n}" for n in range(6)]


@pytest.fixture
def world() -> World:
    world = World()
    world.put_updates(*(update({"player_id": name, "op": "add", "n": 5}) for name in PLAYERS))
    world.step_all()
    return world


def plant(world: World, *players: str, version: str = f"{REGION}:9") -> None:
    """Have the cache be ahead of the store."""
    world.cache.replace([View(name, "gold", version, msgspec.Raw(b"7")) for name in players])


class Failing:
    """Findings that cannot be recorded while `error` is there."""

    def __init__(self, one: Watch) -> None:
        self.error: Exception | None = Unavailable("away")
        self.recorded = 0
        self._kept = one.findings
        one.inquiry._findings = self

    def put(self, findings: Sequence[Finding]) -> None:
        if self.error is not None:
            raise self.error
        self.recorded += 1
        self._kept.put(findings)

    def list(self, *arguments: Any, **named: Any) -> list[Finding]:
        if self.error is not None and not isinstance(self.error, OutcomeUnknown):  # that is of writing alone
            raise self.error
        return self._kept.list(*arguments, **named)


@pytest.mark.parametrize("error", [Unavailable("away"), OutcomeUnknown("who knows"), InvariantViolated("damaged")])
def test_findings_that_cannot_be_recorded_are_recorded_later(world: World, error: Exception) -> None:
    """They are put right all the same, held back, and recorded with the next look at anybody."""
    one = watch(world)
    failing = Failing(one)
    failing.error = error
    plant(world, "p0", "p1")
    found = one.find("p0", "p1")
    assert [finding.repair for finding in found] == [Repair.REPAIRED] * 2
    assert (one.findings.count(), one.differences("p0", "p1")) == (0, [])
    failing.error = None
    one.look("p5")
    one.look("p5")
    assert failing.recorded == 1
    assert sorted(one.findings.list(), key=str) == sorted(found, key=str)


def test_findings_that_are_held_back_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are kept; how many were not is said."""
    monkeypatch.setattr(inquiry, "UNRECORDED_MAX", 2)
    one = watch(world)
    failing = Failing(one)
    for name in PLAYERS[:5]:
        plant(world, name)
        one.find(name)
    assert one.inquiry.not_checked["findings that were not recorded"] == 3
    failing.error = None
    one.look("p5")
    assert {finding.player_id for finding in one.findings.list()} == {"p3", "p4"}
    one.look("p5")
    assert one.inquiry.not_checked["findings that were not recorded"] == 3


def test_what_became_of_a_finding_that_was_held_back(world: World) -> None:
    """Only the latest is recorded."""
    one = watch(world)
    failing = Failing(one)
    one.repairs_wanted = False
    plant(world, "p0")
    (finding,) = one.find("p0")
    assert finding.repair is Repair.LEFT
    world.cache.evict("p0")
    one.look("p0")
    failing.error = None
    one.look("p0")
    assert [(f.finding_id, f.repair) for f in one.findings.list()] == [(finding.finding_id, Repair.GONE)]


def test_with_repairing_switched_off_findings_stay_open(world: World) -> None:
    """They are found once, and close when somebody has put it right; switched on, it is done at the next try."""
    one = watch(world)
    one.repairs_wanted = False
    plant(world, "p0", "p1")
    found = one.find("p0", "p1", within_s=100)
    assert {(f.repair, f.detail) for f in found} == {(Repair.LEFT, "it is switched off")}
    assert (one.findings.count(), one.suspicions.open, one.suspicions.waiting) == (2, 2, 0)
    assert one.inquiry.found == {f"{CACHE}:{Kind.AHEAD}": 2}
    world.cache.evict("p0")
    one.look("p0", "p1")
    assert {f.player_id: f.repair for f in one.findings.list()} == {"p0": Repair.GONE, "p1": Repair.LEFT}
    one.repairs_wanted = True
    one.find("p0", "p1", within_s=31)
    assert {f.player_id: f.repair for f in one.findings.list()} == {"p0": Repair.GONE, "p1": Repair.REPAIRED}
    assert world.value("p1", "gold") == 5
    assert (one.suspicions.open, one.inquiry.found) == (0, {f"{CACHE}:{Kind.AHEAD}": 2})
    assert one.inquiry.repaired == {Repair.LEFT: 2, Repair.GONE: 1, Repair.REPAIRED: 1}


def test_the_account(world: World) -> None:
    """Keys by place, what was not checked and why, findings by place and kind, and what became of them."""
    one = watch(world)
    plant(world, "p0")
    one.find("p0", "p1", "nobody")
    account = one.inquiry
    assert account.compared == Counter({STORE: 6, CACHE: 6, GRAPH: 0})
    assert account.not_checked == Counter()
    assert (account.found, account.repaired) == ({f"{CACHE}:{Kind.AHEAD}": 1}, {Repair.REPAIRED: 1, Repair.GONE: 0})
    blind = watch(world, graph=Silent())
    blind.find("p0", "p1")
    assert blind.inquiry.not_checked == Counter({"graph does not answer": 6})


def test_what_a_part_that_was_away_had_is_confirmed_when_it_is_back(world: World) -> None:
    """A look without it has not seen that the difference is gone."""
    one = watch(world)
    plant(world, "p0")
    assert one.find("p0", within_s=2) == []
    seen: Any = one.verify._parts
    one.verify._parts = seen._replace(cache=Silent())
    assert one.find("p0", within_s=20) == []
    one.verify._parts = seen
    assert [f.repair for f in one.look("p0")] == [Repair.REPAIRED]


def test_a_store_that_does_not_answer_changes_nothing(world: World) -> None:
    """Nothing is counted, confirmed or dropped."""
    one = watch(world)
    plant(world, "p0")
    one.find("p0", within_s=2)
    seen: Any = one.verify._parts
    one.verify._parts = seen._replace(store=Silent())
    with pytest.raises(NotNow):
        one.look("p0")
    one.verify._parts = seen
    assert one.suspicions.waiting == 1
    assert len(one.look("p0")) == 1


def test_what_changed_at_the_last_moment(world: World) -> None:
    """It is recorded as gone, with the reason, and forgotten."""
    one = watch(world)
    plant(world, "p0")
    one.find("p0", within_s=2)
    repair = world.cache.repair

    def late(*_arguments: object) -> bool:
        world.cache.evict("p0")
        return repair(Key("p0", "gold"), f"{REGION}:9", None)

    world.cache.repair = late  # type: ignore[method-assign]
    (finding,) = one.look("p0")
    assert (finding.repair, finding.detail) == (Repair.GONE, "it had changed when it was about to be put right")
    assert finding.repaired_at == finding.found_at
    assert (one.suspicions.waiting, one.suspicions.open, one.findings.list()) == (0, 0, [finding])


def test_players_are_told_apart(world: World) -> None:
    """A look at some says nothing of others, who are suspected as before."""
    one = watch(world)
    plant(world, "p0", "p1")
    one.find("p0", within_s=2)
    one.find("p1", within_s=2)
    assert {f.player_id for f in one.look("p0")} == {"p0"}
    assert {f.player_id for f in one.look("p1")} == {"p1"}


def test_the_same_again_later_is_another_finding(world: World) -> None:
    """What was put right and is broken again is found anew, under an id of its own."""
    one = watch(world)
    for _ in range(3):
        plant(world, "p0")
        one.find("p0")
    assert one.findings.count() == 3
    assert [f.found_at for f in one.findings.list()] == sorted((f.found_at for f in one.findings.list()), reverse=True)


def test_a_busy_world_is_found_nothing_of(world: World) -> None:
    """Promise 8: updates, evictions and late stages, look by look: no finding, and nothing is left suspected."""
    one = watch(world)
    for n in range(60):
        world.put_updates(add(1, sequence=n + 1, producer="busy"))
        world.apply.handle([world.stream.read(0, 1000)[-1]])
        if n % 20 == 19:
            world.step_all()
        if n % 7 == 0:
            world.cache.evict("ada")
        assert one.look("ada", *PLAYERS) == []
    world.step_all()
    one.look("ada", *PLAYERS)
    assert (one.suspicions.waiting, one.suspicions.open, one.findings.count()) == (0, 0, 0)
    assert world.cache.get(Key("ada", "gold")) is not None


def restarted(world: World, one: Watch) -> Watch:
    """The watch of the next process: it knows what was recorded, and nothing else."""
    world.clock.advance(1000)
    after = watch(world)
    after.findings = after.inquiry._findings = one.findings
    return after


def test_an_open_finding_outlives_its_process(world: World) -> None:
    """The next one goes on with it: it is open there at once, and has one record, whatever becomes of it."""
    one = watch(world)
    one.repairs_wanted = False
    plant(world, "p0", "p1")
    first = one.find("p0", "p1")
    after = restarted(world, one)
    after.repairs_wanted = False
    after.look("p5")
    assert (after.suspicions.open, after.suspicions.due(after.now, 10)) == (2, ["p0", "p1"])
    after.find("p0", "p1", within_s=5)
    assert sorted(after.findings.list(), key=str) == sorted(first, key=str)
    world.cache.evict("p0")
    after = restarted(world, after)
    after.look("p0", "p1")
    assert {(f.player_id, f.repair, f.first_seen_at) for f in after.findings.list()} == {
        ("p0", Repair.GONE, first[0].first_seen_at),
        ("p1", Repair.REPAIRED, first[1].first_seen_at),
    }
    assert (after.suspicions.open, after.inquiry.found) == (0, {})


def test_what_was_open_is_asked_for_until_it_can_be_read(world: World) -> None:
    """Findings that do not answer at a start are not forgotten; damaged ones are, and hold up nothing."""
    one = watch(world)
    one.repairs_wanted = False
    plant(world, "p0")
    one.find("p0")
    after = restarted(world, one)
    failing = Failing(after)
    after.look("p5")
    assert after.suspicions.open == 0
    failing.error = None
    after.look("p5")
    assert after.suspicions.open == 1
    after = restarted(world, one)
    Failing(after).error = InvariantViolated("damaged")
    assert [f.repair for f in after.find("p0")] == [Repair.REPAIRED]


def test_nothing_is_put_right_before_it_is_on_record(world: World) -> None:
    """A process that ends in the middle of a repair, or in the one after it, leaves a record of each."""
    one = watch(world)
    plant(world, "p0", "p1")
    one.find("p0", "p1", within_s=2)
    repair, seen = one.repairs.repair, []

    def killed(difference: Difference) -> tuple[Repair, str]:
        seen.append({(f.player_id, f.repair) for f in one.findings.list()})
        assert one.suspicions.open == 0  # or alarms would see a moment of what is put right at once
        if len(seen) == 2:
            raise SystemExit
        return repair(difference)

    one.repairs.repair = killed  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        one.look("p0", "p1")
    both = {("p0", Repair.LEFT), ("p1", Repair.LEFT)}
    assert seen == [both, both]
    assert {(f.player_id, f.repair) for f in one.findings.list()} == {("p0", Repair.REPAIRED), ("p1", Repair.LEFT)}
    assert one.suspicions.open == 1
    one.repairs.repair = repair  # type: ignore[method-assign]
    one.find("p0", "p1", within_s=31)
    assert [f.repair for f in one.findings.list()] == [Repair.REPAIRED] * 2


def test_an_open_finding_is_written_when_something_of_it_is_new(world: World) -> None:
    """Every try that comes to the same costs no commit."""
    one = watch(world)
    failing = Failing(one)
    failing.error = None
    one.repairs_wanted = False
    plant(world, "p0")
    one.find("p0", within_s=200)
    assert failing.recorded == 2  # that it is there, and why it is left


def test_what_somebody_else_has_settled_is_not_settled_again(world: World) -> None:
    """One who was asked to verify has put it right, or the player was erased: the record stays as that left it."""
    one = watch(world)
    one.repairs_wanted = False
    plant(world, "p0", "p1")
    first, second = one.find("p0", "p1")
    one.findings.put([structs.replace(first, repair=Repair.REPAIRED)])
    del one.findings._findings[second.finding_id]
    world.cache.evict("p0")
    world.cache.evict("p1")
    one.look("p0", "p1")
    assert [(f.player_id, f.repair) for f in one.findings.list()] == [(first.player_id, Repair.REPAIRED)]
    assert one.suspicions.open == 0


def test_what_was_open_is_taken_up_as_far_as_there_is_room(world: World) -> None:
    """And replaces nothing that is suspected already."""
    one = watch(world)
    one.repairs_wanted = False
    plant(world, *PLAYERS)
    found = one.find(*PLAYERS)
    after = Suspicions(lambda _: 15_000, suspects_max=4)
    for finding in [*found, *found]:
        after.resume(finding, 7)
    assert (after.open, after.waiting, after.due(7, 9)) == (4, 0, [finding.player_id for finding in found[:4]])


def test_findings_that_cannot_be_recorded_are_told_of_once(world: World) -> None:
    """Not at every look: a damaged file stays so until the next start."""
    one = watch(world)
    Failing(one).error = InvariantViolated("damaged")
    plant(world, "p0")
    with structlog.testing.capture_logs() as logs:
        one.find("p0", within_s=60)
    assert [line["event"] for line in logs].count("findings cannot be recorded now") == 2  # that it is there, and right
