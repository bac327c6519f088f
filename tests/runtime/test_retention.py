"""Retention on both backends, with clocks that are moved by hand: what goes, what stays, and what wrong clocks do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from builders import NOW_MS, letter, transition, write
from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints, MemoryStream
from playerstate.backends.sqlite.audit import SqliteAudit
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.core.findings import CACHE, Finding, Kind, finding_id
from playerstate.core.letters import End
from playerstate.core.model import Identity, Key
from playerstate.core.wire import encode_record
from playerstate.errors import Unavailable
from playerstate.ports.stream import NewRecord
from playerstate.runtime import consumers, retainer, retention
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.old_changes import OldChanges
from playerstate.runtime.retainer import Retainer, RetentionClock
from playerstate.runtime.retention import Ran, Rule, rules_of_follow, rules_of_node
from playerstate.settings import Retention
from playerstate.stages.apply import Applied

DAY, HOUR = 86_400_000, 3_600_000


class Node(NamedTuple):
    """The parts that retention works on, and the rules over them."""

    clock: ManualClock
    stream: Any
    checkpoints: Any
    store: Any
    audit: Any
    letters: Any

    def retainer(self, settings: Retention | None = None) -> Retainer:
        wanted = settings or Retention()

        def expire(before: int, keep: int, *, limit: int) -> int:
            return int(self.letters.expire(before, keep, at=self.clock.now_ms(), limit=limit))

        rules = rules_of_node(self.stream, self.checkpoints, self.letters, expire, MemoryFindings())
        rules += rules_of_follow(self.audit)
        return Retainer(rules, lambda: wanted, self.clock, self.clock)

    def accept(self, *ages: int, body: bytes | None = None) -> None:
        """Records that were accepted so long (ms) ago."""
        now = self.clock.now_ms()
        self.stream.append([NewRecord("a", encode_record(now - age, []) if body is None else body) for age in ages])


@pytest.fixture(params=["memory", "sqlite"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    clock = ManualClock(NOW_MS)
    if request.param == "memory":
        yield Node(clock, MemoryStream(), MemoryCheckpoints(), MemoryStore(), MemoryAudit(), MemoryDeadLetters())
        return
    with contextlib.ExitStack() as opened:
        kinds = (SqliteStream, SqliteCheckpoints, SqliteStore, SqliteAudit, SqliteDeadLetters)
        parts: list[Any] = [opened.enter_context(contextlib.closing(kind(tmp_path / kind.__name__))) for kind in kinds]
        yield Node(clock, *parts)


def test_findings_are_kept_for_so_long_and_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that differs everywhere must not fill the disk with what is found."""
    monkeypatch.setattr(retention, "FINDINGS_MAX", 3)
    key, findings = Key("ada", "gold"), MemoryFindings()
    found = [
        Finding(finding_id(at, CACHE, key), "a", CACHE, Kind.STALE, *key, "a:2", "a:1", at, at)
        for at in (NOW_MS - 366 * DAY, *(NOW_MS - n * HOUR for n in range(5)))
    ]
    findings.put(found)
    rules = rules_of_node(MemoryStream(), MemoryCheckpoints(), MemoryDeadLetters(), lambda *_, **__: 0, findings)
    (rule,) = [rule for rule in rules if rule.name == "findings"]
    assert rule.run(Retention(), NOW_MS) == Ran(3)
    assert findings.list() == found[1:4]


# -- the history


def test_the_history_is_kept_for_so_long(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch until the first that is young; it is known since when the history is whole, and what was done."""
    monkeypatch.setattr(retention, "LOOKED_AT", 7)
    node.audit.append([transition(n, written_at=NOW_MS - (100 - n) * DAY) for n in range(1, 100)])
    keeper = node.retainer(Retention(history_days=30))
    keeper.look()
    assert [one.first for one in node.audit.history("anna")] == list(range(99, 69, -1))
    assert node.audit.complete_since() == NOW_MS - 31 * DAY + 1
    assert (keeper.stats["history_days"].deleted, keeper.stats["history_days"].last_run_at) == (69, NOW_MS)
    node.clock.advance(DAY)
    keeper.look()
    assert (node.audit.count(), keeper.stats["history_days"].deleted) == (29, 70)


def test_times_from_a_wrong_clock_hold_up_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written while the clock was years ahead stays, and what lies behind it still goes in its time."""
    monkeypatch.setattr(retention, "LOOKED_AT", 4)
    ahead = [transition(n, written_at=NOW_MS + 3_000 * DAY) for n in range(1, 11)]
    node.audit.append([*ahead, *[transition(n, written_at=NOW_MS - 400 * DAY) for n in range(11, 31)]])
    node.audit.append([transition(31, written_at=NOW_MS)])
    keeper = node.retainer()
    for _ in range(2):
        keeper.look()
        assert sorted(one.first for one in node.audit.history("anna")) == [*range(1, 11), 31]
    node.audit.append([transition(n, written_at=NOW_MS) for n in range(32, 60)])
    node.clock.advance(366 * DAY)
    keeper.look()
    assert sorted(one.first for one in node.audit.history("anna")) == list(range(1, 11))


def test_one_that_was_recorded_late_takes_no_young_ones_along(node: Node) -> None:
    """A letter of audit that was sent again much later: it goes by itself."""
    node.audit.append([transition(1, written_at=NOW_MS), transition(2, written_at=NOW_MS - 400 * DAY)])
    node.retainer().look()
    assert [one.first for one in node.audit.history("anna")] == [1]


def test_the_history_takes_so_much_room(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, whatever their times say, and no more of them than have to."""
    monkeypatch.setattr(retention, "LOOKED_AT", 20)
    text = b'"%s"' % (b"x" * 3_000)
    for n in range(1, 601):
        node.audit.append([transition(n, after=text, written_at=NOW_MS + (n % 2) * 5_000 * DAY)])
    node.retainer(Retention(history_bytes_max=1_000_000)).look()
    kept = sorted(one.first for one in node.audit.history("anna", limit=1_000))
    assert kept == list(range(601 - len(kept), 601))
    assert 150 < len(kept) < 400
    assert node.audit.bytes() <= 1_000_000
    keeper = node.retainer(Retention(history_bytes_max=1_000_000))
    keeper.look()
    assert keeper.stats["history_bytes"].deleted == 0


# -- dead letters


def test_dead_letters_expire_and_stay_on_record(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 2: for as long again as letters are kept, and never for less than rows remember their producers."""
    monkeypatch.setattr(retention, "LETTERS_AT_ONCE", 2)
    node.letters.put(
        [
            structs.replace(letter(f"{n}", identity=Identity("p", n, "ada", "gold")), at=NOW_MS - n * DAY)
            for n in range(9)
        ]
    )
    keeper = node.retainer(Retention(dead_letters_days=5.5))
    keeper.look()
    assert [one.letter_id for one in node.letters.list()] == ["0", "1", "2", "3", "4", "5"]
    assert {gone.ending.end for gone in node.letters.gone()} == {End.EXPIRED}
    assert keeper.stats["dead_letters"].deleted == 3
    for days, known in ((5, "malformed"), (1, None)):
        node.clock.advance(days * DAY)
        keeper.look()
        assert node.letters.code_of(Identity("p", 8, "ada", "gold")) == known
    hasty = node.retainer(Retention(dead_letters_days=0.001))
    hasty.look()
    node.clock.advance(2 * DAY)
    hasty.look()
    assert node.letters.code_of(Identity("p", 0, "ada", "gold")) == "malformed"
    node.clock.advance(1)
    hasty.look()
    assert node.letters.code_of(Identity("p", 0, "ada", "gold")) is None


def test_no_more_letters_than_there_is_room_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of letters and of the record of those that have gone the oldest go, whatever the clock says."""
    monkeypatch.setattr(retention, "LETTERS_MAX", 10)
    monkeypatch.setattr(retention, "GONE_LETTERS_MAX", 5)
    node.letters.put([structs.replace(letter(f"{n:02}"), at=NOW_MS + 9_000 * DAY) for n in range(30)])
    node.retainer().look()
    assert [one.letter_id for one in node.letters.list()] == [f"{n}" for n in range(20, 30)]
    assert [gone.letter_id for gone in node.letters.gone()] == [f"{n}" for n in range(15, 20)]


def test_that_letters_have_expired_is_said(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, and nothing about any player."""
    said: list[Any] = []
    monkeypatch.setattr(retention.log, "warning", lambda event, **about: said.append((event, about)), raising=False)
    node.letters.put([letter("1", identity=Identity("p", 1, "zelda", "gold"))])
    node.clock.advance(15 * DAY)
    node.retainer().look()
    assert said == [("dead letters have expired", {"letters": 1})]


# -- stream and changes


def test_records_that_were_processed_are_kept_for_so_long(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What apply has not processed stays, however old; of what has no time, as its neighbours behind it."""
    monkeypatch.setattr(retention, "LOOKED_AT", 3)
    node.accept(*[30 * HOUR] * 5)
    node.accept(0, body=b"garbage")
    node.accept(30 * HOUR, 10 * HOUR, 30 * HOUR, 0)
    node.checkpoints.save("apply", 4)
    node.retainer().look()
    assert node.stream.read(0, 100)[0].position == 5
    node.checkpoints.save("apply", 10)
    keeper = node.retainer()
    keeper.look()
    assert [record.position for record in node.stream.read(0, 100)] == [8, 9, 10]
    assert keeper.stats["stream"].deleted == 3
    node.clock.advance(15 * HOUR)
    keeper.look()
    assert [record.position for record in node.stream.read(0, 100)] == [10]


def test_no_more_processed_records_than_so_many(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """However young they are."""
    monkeypatch.setattr(retention, "KEPT_AFTER_USE", 4)
    node.accept(*[0] * 10)
    node.checkpoints.save("apply", 7)
    node.retainer().look()
    assert [record.position for record in node.stream.read(0, 100)] == list(range(4, 11))


class Idle:
    """An apply stage that has nothing to do."""

    def handle(self, _: Any) -> Applied:
        raise AssertionError("there are no records")


@pytest.mark.parametrize(("projected", "carried", "kept"), [(9, None, 7), (4, None, 5), (9, 3, 4)])
def test_changes_are_kept_for_so_long(node: Node, projected: int, carried: int | None, kept: int) -> None:
    """Those that project and the other regions have taken. A row of another region may be old, its change is young."""
    key = Key("ada", "gold")
    last = None
    for _ in range(6):
        last = write(key, 1 if last is None else int(last.version.split(":")[1]) + 1, after=last)
        assert node.store.commit([[last]]) == [True]
    for n in range(3):
        assert node.store.commit([[write(Key("bob", f"k{n}"), 1, region="us-east-1")]]) == [True]
    node.checkpoints.save("project", projected)
    node.clock.advance(25 * HOUR)
    old = OldChanges(node.store.changes, "eu-west-1", Retention, node.clock, node.checkpoints).up_to
    carried_to = None if carried is None else (lambda: carried)
    apply: Any = Idle()
    consumer = ApplyConsumer(
        node.stream, node.checkpoints, apply, node.store.changes, old_changes=old, carried_to=carried_to
    )
    consumer.step()
    assert node.store.changes.read(0, 100)[0].position == kept
    assert consumer.trimmed.deleted == kept - 1
    report = consumers.Report()
    consumer.tell(report)
    assert report.retention["changes"].deleted == kept - 1


def test_changes_that_could_not_be_let_go_of_do_not_count_as_such(node: Node) -> None:
    """Or no alarm would ever fire over them."""
    fails = [True]

    def old() -> int:
        if fails[0]:
            raise Unavailable("the disk is full")
        return 0

    apply: Any = Idle()
    consumer = ApplyConsumer(node.stream, node.checkpoints, apply, node.store.changes, old_changes=old)
    with pytest.raises(Unavailable):
        consumer.step()
    assert consumer.trimmed.last_run_at == 0
    fails[0] = False
    consumer.step()
    assert consumer.trimmed.last_run_at > 0


# -- clocks


class Times:
    """A wall clock and the time that passes."""

    def __init__(self) -> None:
        self.wall = ManualClock(NOW_MS)
        self.passed_s = 0.0
        self.checkpoints = MemoryCheckpoints()

    def started(self) -> RetentionClock:
        return RetentionClock(self.wall, self.checkpoints, "test", monotonic=lambda: self.passed_s)

    def passes(self, ms: int) -> None:
        self.wall.advance(ms)
        self.passed_s += ms / 1000


def test_retention_goes_by_the_wall_clock() -> None:
    """As long as that runs as time does; after a start it has soon come up with it."""
    times = Times()
    for _ in range(3):
        clock = times.started()
        clock.now_ms()
        for _ in range(5):
            times.passes(7_000)
            assert clock.now_ms() == times.wall.now_ms()
        times.wall.advance(60_000)


def test_a_clock_that_jumps_ahead_makes_nothing_old_at_once() -> None:
    """By a day an hour, so that a wrong clock can be set right; then all is as if nothing had been."""
    times = Times()
    clock = times.started()
    clock.now_ms()
    times.wall.advance(400 * DAY)
    assert clock.now_ms() == NOW_MS
    for _ in range(60):
        times.passes(60_000)
        clock.now_ms()
    assert NOW_MS + DAY <= clock.now_ms() <= NOW_MS + 26 * HOUR
    assert times.started().now_ms() <= NOW_MS + 26 * HOUR
    times.wall.advance(-400 * DAY)
    assert clock.now_ms() == NOW_MS + HOUR


def test_a_node_that_was_off_catches_up() -> None:
    """What has grown old meanwhile goes after hours, not at the start."""
    times = Times()
    times.started().now_ms()
    times.wall.advance(30 * DAY)
    clock = times.started()
    assert clock.now_ms() == NOW_MS
    for _ in range(30 * 60):
        times.passes(60_000)
        clock.now_ms()
    assert clock.now_ms() == times.wall.now_ms()


def test_a_clock_that_is_set_back_is_believed() -> None:
    """Younger is the safe side."""
    times = Times()
    clock = times.started()
    clock.now_ms()
    times.wall.advance(-90 * DAY)
    assert clock.now_ms() == NOW_MS - 90 * DAY


def test_a_clock_that_was_not_set_for_a_moment_holds_up_nothing() -> None:
    """A machine that starts in 1970 and then learns the time: it is as if nothing had been, at a first start too."""
    times = Times()
    times.wall.advance(5_000 - NOW_MS)
    assert times.started().now_ms() == 5_000
    times.wall.advance(NOW_MS - 5_000)
    assert times.started().now_ms() == NOW_MS


def test_a_clock_that_was_far_behind_for_a_moment_holds_up_little() -> None:
    """An hour takes an hour to make up for, however far it was behind."""
    times = Times()
    clock = times.started()
    clock.now_ms()
    times.wall.advance(-900 * DAY)
    for _ in range(60):
        times.passes(60_000)
        assert clock.now_ms() == times.wall.now_ms()
    times.wall.advance(900 * DAY)
    assert times.wall.now_ms() - clock.now_ms() <= 26 * HOUR
    for _ in range(65):
        times.passes(60_000)
        clock.now_ms()
    assert clock.now_ms() == times.wall.now_ms()


def test_a_clock_that_was_ahead_for_long_can_jump_ahead_again() -> None:
    """What was believed while it was wrong is not believed for good."""
    times = Times()
    clock = times.started()
    clock.now_ms()
    for days in (300, -300):
        times.wall.advance(days * DAY)
        for _ in range(13 * 24):
            times.passes(HOUR)
            clock.now_ms()
    assert clock.now_ms() == times.wall.now_ms()
    times.wall.advance(300 * DAY)
    assert times.wall.now_ms() - clock.now_ms() == 300 * DAY


# -- the loop


def keeper_of(rules: list[Rule]) -> Retainer:
    return Retainer(rules, Retention, ManualClock(NOW_MS), ManualClock(NOW_MS - DAY))


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), ValueError("the disk is full")])
def test_a_rule_that_fails_stops_no_other_and_is_tried_again(error: Exception) -> None:
    """Whatever went wrong is said until it goes right, and the rule does not count as enforced."""
    fails = [True]

    def failing(_: Retention, __: int) -> Ran:
        if fails[0]:
            raise error
        return Ran(2)

    keeper = keeper_of([Rule("a", "a", failing), Rule("b", "b", lambda _, __: Ran(1))])
    keeper.look()
    a, b = keeper.stats["a"], keeper.stats["b"]
    assert ("the disk is full" in a.last_error, a.last_run_at) == (True, 0)
    assert (b.deleted, b.last_run_at) == (1, NOW_MS), "by the wall clock, whatever is believed of it"
    fails[0] = False
    keeper.look()
    assert (a.last_error, a.deleted, a.last_run_at, b.deleted) == ("", 2, NOW_MS, 2)


def test_a_rule_without_end_lets_the_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """And can be stopped between two batches."""
    monkeypatch.setattr(retainer, "RUN_S_MAX", 0.01)
    rules = [Rule("endless", "", lambda _, __: Ran(1, more=True)), Rule("b", "", lambda _, __: Ran(1))]
    keeper = keeper_of(rules)
    keeper.look()
    assert keeper.stats["endless"].deleted >= 1
    assert keeper.stats["b"].deleted == 1
    monkeypatch.setattr(retainer, "RUN_S_MAX", 1e9)
    monkeypatch.setattr(retainer, "LOOK_EVERY_S", 0.0)
    keeper.start()
    keeper.stop()
