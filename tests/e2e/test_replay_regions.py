"""Replays over several regions, under lag and through a partition: the same everywhere, and the sum of what was
answered applied."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from elite_journals.format import EliteJournal

import playerstate
from e2e.program import run
from examples.journals import SESSIONS, event, write_collection
from playerstate.api import PlayerState
from playerstate.core.history import HistoryPage
from playerstate.core.model import Identity, Transition
from playerstate.errors import Unavailable
from playerstate.node import Options
from playerstate.regions import Regions
from playerstate.replay import SpreadReport, identity_of, replay, replay_spread
from playerstate.replay.compare import read_history
from playerstate.replay.explain import Amounts, amounts, deeds_in
from playerstate.replay.patience import Patience
from playerstate.runtime.replication import LinkSettings

FORMAT = EliteJournal()
NAMES = ("us-east-1", "eu-west-1", "ap-northeast-1")
WAY = LinkSettings(lag_ms=200, jitter_ms=100)
SUMS = ("credits", "materials", "cargo", "backpack")
SAMPLE_DATA = os.environ.get("PLAYERSTATE_SAMPLE_DATA", "")
needs_sample_data = pytest.mark.skipif(
    not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA does not name the recorded inputs"
)


def start(folder: Path) -> Regions:
    """Three regions with the journals' schema, and news that takes its time."""
    regions = Regions(folder, NAMES, schema_text=FORMAT.schema_text(), options=Options(workers="thread"))
    regions.every_way(WAY)
    return regions


def nodes_of(regions: Regions) -> dict[str, PlayerState]:
    return {name: node.service for name, node in regions.nodes.items()}


def cutting(regions: Regions) -> Callable[[int, int], None]:
    """Cuts the last region off in the second third of what is sent."""
    waiting = [(1 / 3, True), (2 / 3, False)]

    def see(sent: int, total: int) -> None:
        while waiting and sent >= waiting[0][0] * total:
            _, cut = waiting.pop(0)
            for other in NAMES[:-1]:
                (regions.cut if cut else regions.heal)(NAMES[-1], other)

    return see


def gains(session: int) -> list[dict[str, Any]]:
    """A session that only adds: nothing in it can be refused, and nothing depends on what was there before."""
    events = []
    for n in range(20):
        events += [
            event("MaterialCollected", Category="Raw", Name="iron", Count=1 + n % 3),
            event("RedeemVoucher", Type="bounty", Amount=session * 100 + n),
            event("Friends", Name=f"cmdr-{session}-{n}", Status="Added"),
        ]
    return events


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regions]:
    with start(tmp_path_factory.mktemp("three") / "world") as regions:
        yield regions


def test_where_nothing_can_be_refused_regions_come_to_what_one_does(three: Regions, tmp_path: Path) -> None:
    """Promise 3: sessions that only add end as in one region, whatever lay between them; repeats change nothing, and
    neither does a second replay."""
    sessions = {f"Journal.{n}.log": gains(n) for n in range(1, 6)}
    journal = write_collection(tmp_path / "journal.jsonl", sessions, fid="F7")
    report = replay_spread(nodes_of(three), FORMAT, [journal], repeats_seed=1, batch_size=5, on_progress=cutting(three))
    assert report.differences == []
    assert report.differing == []
    assert report.repeats > 0
    assert report.sessions == {"us-east-1": 2, "eu-west-1": 2, "ap-northeast-1": 1}
    assert report.outcomes.keys() == set(NAMES)
    assert all(its.keys() == {"applied"} for its in report.outcomes.values())
    again = replay_spread(nodes_of(three), FORMAT, [journal])
    assert again.state == report.state
    assert again.differences == []


class Forgetful:
    """A region whose history lacks the latest write of a key."""

    def __init__(self, node: PlayerState, state_key: str) -> None:
        self._node = node
        self._state_key = state_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def history(self, player_id: str, **rest: Any) -> HistoryPage:
        page = self._node.history(player_id, **rest)
        gone = next((t for t in page.transitions if t.state_key == self._state_key and t.causes), None)
        return msgspec.structs.replace(page, transitions=[t for t in page.transitions if t is not gone])


def test_a_value_that_its_updates_do_not_explain_is_told(three: Regions, tmp_path: Path) -> None:
    """The check can fail: what no history explains is a difference."""
    sessions = {f"Journal.{n}.log": gains(n) for n in range(1, 4)}
    journal = write_collection(tmp_path / "journal.jsonl", sessions, fid="F8")
    forgetful: dict[str, Any] = {**nodes_of(three), NAMES[1]: Forgetful(three[NAMES[1]].service, "materials")}
    report = replay_spread(forgetful, FORMAT, [journal])
    assert not report.agrees
    assert any("F8/materials is" in difference for difference in report.differences)
    assert any("the histories have it as applied 0 times" in difference for difference in report.differences)


def test_regions_that_cannot_reach_each_other_are_not_waited_for_forever(
    three: Regions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that stays cut keeps them from showing the same, and that is said."""
    monkeypatch.setattr("playerstate.replay.spread.DRAINS_MAX", 0.2)
    journal = write_collection(tmp_path / "journal.jsonl", {"Journal.1.log": gains(1)}, fid="F9")
    three.cut(NAMES[0], NAMES[1])
    try:
        with pytest.raises(Unavailable, match="is a way between them cut"):
            replay_spread(nodes_of(three), FORMAT, [journal])
    finally:
        three.heal(NAMES[0], NAMES[1])


def test_the_command_makes_a_deployment_and_spreads_over_one(tmp_path: Path) -> None:
    """`replay --regions` for a new folder, and without it where there are regions already."""
    journal = write_collection(tmp_path / "journal.jsonl", SESSIONS)
    arguments = ["replay", "--format", "elite-journal", str(journal), "--data", str(tmp_path / "world")]
    first = run(*arguments, "--regions", "us-east-1, eu-west-1", "--json")
    assert first.code == 0, first.err
    assert first.document()["sessions"] == {"us-east-1": 1, "eu-west-1": 1}
    second = run(*arguments)
    assert second.code == 0
    assert "Every value is what exactly the updates that were answered applied come to." in second.out
    with playerstate.open(tmp_path / "world" / "us-east-1") as node:
        assert node.get("F1", "friends").version


class Totals(NamedTuple):
    """What a player's summed keys come to by their updates, by key and item."""

    by_item: dict[tuple[str, str], dict[Identity, int]]
    applied: set[Identity]
    snapshots: set[Identity]

    def total(self, place: tuple[str, str]) -> int:
        return sum(self.by_item.get(place, {}).values())


def totals(histories: list[Transition], journal: Path) -> Totals:
    updates = {identity_of(update): update for update in FORMAT.read([journal])}
    deeds = deeds_in(histories, updates)
    by_item: dict[tuple[str, str], dict[Identity, int]] = {}
    for key, its in deeds.items():
        if key.state_key in SUMS:
            found: Amounts = amounts(its)
            by_item |= {(key.state_key, item): by_update for item, by_update in found.items()}
    snapshots = {
        identity for identity, update in updates.items() if any(op.op in ("set", "replace") for op in update.ops)
    }
    return Totals(by_item, {deed.identity for its in deeds.values() for deed in its}, snapshots)


def shown(state: Mapping[str, Any], place: tuple[str, str]) -> int:
    key, item = place
    value = state.get(key, {} if item else 0)
    return int(value.get(item, 0)) if item else int(value)


@pytest.mark.sample_data
@needs_sample_data
def test_overlapping_sessions_over_three_regions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Promises 3 and 9 with real sessions: the same everywhere; counters and inventories are the sums of exactly what
    was answered applied; and what differs from one region's replay is accounted for, update by update, by refusals and
    by snapshots that were worked out where something else was known."""
    journal = Path(SAMPLE_DATA, "elite-journals", "F123456789-overlapping-sessions.jsonl")
    (player,) = FORMAT.plain_replay([journal]).state
    patience = Patience(lambda _: None)
    with start(tmp_path / "world") as regions:
        nodes = nodes_of(regions)
        report = replay_spread(nodes, FORMAT, [journal], repeats_seed=1, on_progress=cutting(regions))
        here = totals([t for node in nodes.values() for t in read_history(node, player, patience)], journal)
        for name, node in nodes.items():
            views = {key: view.decoded() for key, view in node.get_player(player).items()}
            assert {**report.state[player], **views} == report.state[player], name
    with playerstate.open(tmp_path / "one", schema=FORMAT.schema_text()) as one:
        alone = replay(one, FORMAT, [journal])
        there = totals(read_history(one, player, patience), journal)
    assert report.differences == alone.differences == []
    assert alone.outcomes == {"applied": report.sent}  # by itself nothing is refused
    refused = report.sent - sum(its.get("applied", 0) for its in report.outcomes.values())

    assert len(here.applied) == report.sent - refused
    assert len(there.applied) == report.sent

    places = sorted(here.by_item.keys() | there.by_item.keys())
    differing = [place for place in places if here.total(place) != there.total(place)]
    snapshots: set[Identity] = set()
    for place in places:
        ours, theirs = here.by_item.get(place, {}), there.by_item.get(place, {})
        assert shown(report.state[player], place) == here.total(place)
        assert shown(alone.state[player], place) == there.total(place)
        changed = {one for one in ours.keys() | theirs.keys() if ours.get(one, 0) != theirs.get(one, 0)}
        assert changed & here.applied <= here.snapshots, f"{place}: an addition or subtraction came to something else"
        assert here.total(place) - there.total(place) == sum(ours.get(one, 0) - theirs.get(one, 0) for one in changed)
        snapshots |= changed & here.applied
    with capsys.disabled():
        tell(report, refused, len(places), len(differing), len(snapshots))


def tell(report: SpreadReport, refused: int, amounts: int, differing: int, snapshots: int) -> None:
    """The figures, for whoever asked for the run."""
    print(f"\n{report.sent:,} updates of {sum(report.sessions.values())} sessions over {len(report.sessions)} regions,")
    print(f"{report.repeats:,} repeats; the same everywhere {report.settled_s:.1f} s after the last call")
    print(f"outcomes: {report.outcomes}")
    print(f"by one region: {report.plain_outcomes}")
    print(f"{amounts} amounts, each the sum of what was applied; {differing} are not as in one region, by {refused}")
    print(f"refusals and {snapshots} snapshots that were worked out to other deltas, and by nothing else")
    print(
        f"other keys that differ, all written concurrently: {[one.key for one in report.differing if not one.summed]}"
    )
