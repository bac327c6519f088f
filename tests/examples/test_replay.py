"""A replay agrees with the plain one, however it is disturbed, and says so when it does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from elite_journals.format import EliteJournal

from core_node import CoreNode
from examples.journals import SESSIONS, event, write_collection
from playerstate.api import PlayerState
from playerstate.core.answers import Accepted, Answer
from playerstate.core.history import HistoryPage
from playerstate.core.model import Identity, Outcome, Update, View
from playerstate.errors import OutcomeUnknown, SlowDown, Unavailable
from playerstate.replay import Intervals, ReplayReport, UnknownFormat, find_format, replay

FORMAT = EliteJournal()
SAMPLE_DATA = os.environ.get("PLAYERSTATE_SAMPLE_DATA", "")
JOURNALS = ["F12238238", "F123456789-overlapping-sessions", "F1697165", "F9725"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two sessions of one player."""
    return write_collection(tmp_path / "journal.jsonl", SESSIONS)


def replay_into(node: CoreNode, path: Path, **options: Any) -> ReplayReport:
    options.setdefault("now_ms", lambda: node.clock_ms)
    return replay(cast("PlayerState", node), FORMAT, [path], **options)


def new_node(**options: int) -> CoreNode:
    return CoreNode(FORMAT.schema_text(), **options)


def test_it_agrees_and_reports(journal: Path) -> None:
    """The outcomes, the values and the snapshots are those that the hand-written journal was made to come to."""
    seen: list[tuple[int, int]] = []
    report = replay_into(new_node(), journal, batch_size=10, on_progress=lambda done, total: seen.append((done, total)))
    assert report.differences == []
    assert report.agrees
    assert report.outcomes == {"applied": report.sent - 1, "refused:insufficient": 1}
    assert report.intervals == {
        "credits": Intervals(1, 1),
        "materials": Intervals(1, 1),
        "cargo": Intervals(0, 1),
        "backpack": Intervals(1, 1),
    }
    state = report.state["F1"]
    assert state["friends"] == ["cmdr-c"]
    assert state["presence"] == {}
    assert state["position"] == {"system": "Barnard's Star", "body": "Barnard's Star"}
    assert (state["rank_combat"], state["power"], state["squadron"], state["on_foot"]) == (3, None, None, True)
    assert seen[-1] == (report.sent, report.sent)
    assert report.source.ignored["Shutdown"] == 2
    assert msgspec.json.decode(msgspec.json.encode(report), type=ReplayReport) == report


def test_sending_it_again_changes_nothing(journal: Path) -> None:
    """The producer follows from the file, so the second sending is all repeats."""
    node = new_node()
    first = replay_into(node, journal)
    versions = {key: view.version for key, view in node.get_player("F1").items()}
    node.clock_ms += 1000
    second = replay_into(node, journal)
    assert second.differences == []
    assert {key: view.version for key, view in node.get_player("F1").items()} == versions
    assert msgspec.to_builtins(second) == msgspec.to_builtins(first)


@pytest.mark.parametrize("seed", range(5))
def test_repeats_change_nothing(journal: Path, seed: int) -> None:
    """Repeats of any earlier update, at any later time, have no effect; there are about one to five updates."""
    node = new_node()
    report = replay_into(node, journal, repeats_seed=seed, batch_size=3)
    assert report.differences == []
    assert node.updates_seen == report.sent + report.repeats
    assert report.sent / 20 < report.repeats < report.sent / 2


class Unreliable(CoreNode):
    """Fails every other call that sends: before it has taken anything, or after it has taken some or all of it."""

    def __init__(self, schema_text: str) -> None:
        super().__init__(schema_text)
        self.calls = 0

    def send_many(self, updates: Sequence[Update]) -> list[Answer]:
        self.calls += 1
        match self.calls % 8:
            case 1:
                raise Unavailable("not yet")
            case 3:
                super().send_many(updates)
                raise OutcomeUnknown("perhaps")
            case 5:
                super().send_many(updates[: len(updates) // 2])
                raise OutcomeUnknown("perhaps some")
            case 7:
                raise SlowDown("too much", retry_after_s=7.0)
        return super().send_many(updates)


def test_it_tries_again_until_it_is_done(journal: Path) -> None:
    """Whatever part of a batch was taken, the same batch is sent again; pauses are as long as the node asks for."""
    pauses: list[float] = []
    report = replay_into(Unreliable(FORMAT.schema_text()), journal, batch_size=2, repeats_seed=1, wait=pauses.append)
    assert report.differences == []
    assert report.retries == len(pauses) > 8
    assert 7.0 in pauses


def test_it_gives_up_in_the_end(journal: Path) -> None:
    """A node that never answers is not waited for without end."""

    class Away(CoreNode):
        def send_many(self, updates: Sequence[Update]) -> list[Answer]:
            raise Unavailable("never")

    pauses: list[float] = []
    with pytest.raises(Unavailable, match="never"):
        replay_into(Away(FORMAT.schema_text()), journal, wait=pauses.append)
    assert 10 < len(pauses) < 1000


class Forgetful(CoreNode):
    """Loses an update that it has accepted."""

    def send_many(self, updates: Sequence[Update]) -> list[Answer]:
        answers = super().send_many([u for u in updates if u.first_key.state_key != "rank_combat" or u.sequence != 2])
        return [*answers, *answers[: len(updates) - len(answers)]]


class Doubling(CoreNode):
    """Applies an update twice, under another identity."""

    def send_many(self, updates: Sequence[Update]) -> list[Answer]:
        answers = []
        for update in updates:
            answers += super().send_many([update])
            if update.ops[0].op == "add":
                super().send_many([msgspec.structs.replace(update, producer="another")])
        return answers


class Wrong(CoreNode):
    """Shows a value that nobody wrote."""

    def get_player(self, player_id: str) -> dict[str, View]:
        views = super().get_player(player_id)
        views["rank_cqc"] = View(player_id, "rank_cqc", "local:1", msgspec.Raw(b"9"))
        return views


class Rewriting(CoreNode):
    """Has forgotten in its history that there was a snapshot."""

    def history(self, player_id: str, state_key: str | None = None, **rest: Any) -> HistoryPage:
        found = super().history(player_id, state_key, **rest)
        return msgspec.structs.replace(found, transitions=[t for t in found.transitions if t.state_key != "backpack"])


class Lenient(CoreNode):
    """Calls a refused update applied."""

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        outcome = super().outcome(identity, wait_s=wait_s)
        return outcome and Outcome(outcome.status.APPLIED)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            Forgetful,
            ['update 2 of elite:F1:Journal.1.log for F1/rank_combat: "unknown" at the node', "F1/rank_combat: 2"],
        ),
        (Doubling, ['snapshots materials: {"exact":0,"total":1} at the node']),
        (Wrong, ["value F1/rank_cqc: 9 at the node, 0 in the plain replay"]),
        (Rewriting, ['snapshots backpack: {"exact":0,"total":0} at the node, {"exact":1,"total":1}']),
        (Lenient, ['update 3 of elite:F1:Journal.1.log for F1/credits: "applied" at the node, "refused:insufficient"']),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_differs_is_said(journal: Path, kind: type[CoreNode], expected: list[str]) -> None:
    """A node that loses, doubles, invents, forgets or lies does not agree, and the report says where."""
    report = replay_into(kind(FORMAT.schema_text()), journal)
    assert not report.agrees
    assert all(any(text in difference for difference in report.differences) for text in expected), report.differences


def test_many_differences_are_cut_short(tmp_path: Path) -> None:
    """A report stays readable, and says how much it leaves out."""
    path = write_collection(tmp_path / "a.jsonl", {"s": [event("MiningRefined", Type="gold")] * 300})

    class Deaf(CoreNode):
        def send_many(self, updates: Sequence[Update]) -> list[Answer]:
            return [Accepted(update.producer, update.sequence, *update.first_key) for update in updates]

    report = replay_into(Deaf(FORMAT.schema_text()), path, batch_size=1000)
    assert len(report.differences) == 101
    assert report.differences[-1] == "... and 201 more"


def test_an_update_that_is_not_accepted_is_a_difference(journal: Path) -> None:
    """A recording's updates fit its schema, so a node that rejects them has another one."""
    text = FORMAT.schema_text().replace('values = ["Online", "Offline"]', 'values = ["Away"]')
    report = replay_into(CoreNode(text), journal)
    assert any("was not accepted: The value is not one of those" in difference for difference in report.differences)


def test_refusals_beyond_what_a_row_remembers_are_found_in_the_history(tmp_path: Path) -> None:
    """A row remembers the last refusals of a producer; the replay compares all of them, on a second sending too."""
    path = write_collection(tmp_path / "a.jsonl", {"s": [event("RefuelAll", Cost=5)] * 100})
    node = new_node()
    for _ in range(2):
        report = replay_into(node, path)
        assert report.differences == []
        assert report.outcomes == {"refused:insufficient": 100}


@pytest.mark.parametrize("ticking", [False, True])
def test_a_long_history_is_read_to_its_end(tmp_path: Path, ticking: bool) -> None:
    """However many transitions share a millisecond, none is missed and none is counted twice."""
    events = [event("LoadGame", Credits=n % 2) for n in range(1300)]
    path = write_collection(tmp_path / "a.jsonl", {"s": events})
    node = new_node(writes_at_once=1)

    def tick(_done: int, _total: int) -> None:
        node.clock_ms += ticking

    report = replay_into(node, path, batch_size=300, on_progress=tick)
    assert report.differences == []
    assert report.intervals["credits"] == Intervals(0, 1299)


def test_formats_are_found_by_their_entry_point() -> None:
    """The package under `examples/` is installed, and the core does not know it."""
    assert type(find_format("elite-journal")).__name__ == "EliteJournal"
    with pytest.raises(UnknownFormat, match=r"'doom'; installed: .*elite-journal"):
        find_format("doom")


@pytest.mark.sample_data
@pytest.mark.skipif(not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA does not name the recorded inputs")
@pytest.mark.parametrize("name", JOURNALS)
def test_real_journals_agree(name: str) -> None:
    """Real sessions, noise and all, sent with repeats and then once more, come to what plain Python says."""
    path = Path(SAMPLE_DATA, "elite-journals", f"{name}.jsonl")
    node = new_node(writes_at_once=64)
    report = replay_into(node, path, repeats_seed=1)
    assert report.differences == []
    assert report.source.malformed == 0
    assert report.source.not_understood == {}
    assert report.outcomes.get("applied", 0) > 0.99 * report.sent
    assert replay_into(node, path).differences == []


@pytest.mark.sample_data
@pytest.mark.skipif(not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA does not name the recorded inputs")
@pytest.mark.parametrize(("key", "share"), [("materials", 0.86), ("credits", 0.56)], ids=["materials", "credits"])
def test_the_deltas_explain_the_snapshots(key: str, share: float) -> None:
    """On the cleanest journal the mapping explains at least the share that a plain reconciler explains elsewhere."""
    path = Path(SAMPLE_DATA, "elite-journals", "F1697165.jsonl")
    intervals = FORMAT.plain_replay([path]).intervals[key]
    assert intervals.exact >= share * intervals.total > 0
