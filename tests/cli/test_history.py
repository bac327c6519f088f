"""What `history` tells people: every update with what it made of the value, and what a value of then rests on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import typer
from msgspec import structs

from builders import NOW_MS, REGION, cause, letter, transition
from conformance.audit_deliveries import delivery
from playerstate.cli import console
from playerstate.cli.moments import duration, local_time, parse_moment, zoned_time
from playerstate.cli.recalled import show_recalled
from playerstate.cli.recalling import recall
from playerstate.cli.transitions import SAME_WRITE, collect, note_put_aside, show_history
from playerstate.cli.values import change, steps_of
from playerstate.core.history import HistoryPage, Wanted, merged
from playerstate.core.model import ERASE, Cause, Effect, Identity, Json, Outcome, Side, Status, Transition
from playerstate.core.schema import parse_schema
from playerstate.errors import PlayerStateError
from stages.world import World

SCHEMA = parse_schema("""
    [game]
    name = "test"
    version = 1
    [keys.gold]
    type = "bounded_counter"
    initial = 10
    home = "eu-west-1"
    [keys.guild]
    type = "register"
    [keys.bag]
    type = "inventory"
""")
EVERYTHING = Wanted()
REFUSED = structs.replace(cause(3), effects=[], status=Status.REFUSED, reason="insufficient")


def wrote(first: int, before: Json, after: Json, *causes: Cause, at: int = 0, **rest: Any) -> Transition:
    """A write of one or several updates."""
    raw_before, raw_after = msgspec.json.encode(before), msgspec.json.encode(after)
    taken = list(causes) if causes or "sides" in rest else [cause(first)]
    changed = {name: rest.pop(name) for name in ("sides", "version") if name in rest}
    made = transition(first, written_at=NOW_MS + at, before=raw_before, after=raw_after, causes=taken, **rest)
    return structs.replace(made, **changed)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows of the tables that are shown, each with the title and the columns before it."""
    shown: list[list[str]] = []

    def table(columns: list[str], lines: Any, *, title: str) -> None:
        shown.extend([[title], list(columns), *map(list, lines)])

    monkeypatch.setattr(console, "table", table)
    return shown


def show(page: HistoryPage, wanted: Wanted = EVERYTHING, key: str | None = "gold", *, limit: int = 20) -> None:
    show_history(page, "anna", key, wanted, limit=limit, as_json=False)


def test_a_number_is_told_after_every_update(rows: list[list[str]]) -> None:
    """Also of those that were written at once, and of one that was refused; what is the same in all is in the title."""
    write = wrote(1, 5, 8, cause(1, delta=4), structs.replace(cause(2, delta=-1)), REFUSED)
    show(HistoryPage([write]))
    (title,), columns, *lines = rows
    assert f"anna, gold, written by {REGION}, on 2023-11-1" in title
    assert columns == ["when", "what", "producer#sequence", "outcome", "value", "delay"]
    assert [line[1:5] for line in lines] == [
        ["nothing", "game-1#3", "refused: insufficient", "= 8"],
        ["add -1", "game-1#2", "applied", "9 → 8"],
        ["add +4", "game-1#1", "applied", "5 → 9"],
    ]


def test_what_was_taken_has_one_sign(rows: list[list[str]]) -> None:
    """`subtract` says it already; of every other operation the sign tells which way it went."""
    effects = [Effect("subtract", -358_727), Effect("subtract", deltas={"ore": -2}), Effect("set", -3)]
    show(HistoryPage([wrote(1, 5, 8, structs.replace(cause(1), effects=effects))]))
    assert rows[2][1] == "subtract 358,727; subtract 2 ore; set -3"


def test_other_values_are_told_once_a_write_also_where_its_last_update_is_left_out(rows: list[list[str]]) -> None:
    """In the first line of the write that is shown; the others point up to it."""
    setting = [structs.replace(cause(n, producer=f"p{n}"), effects=[Effect("set")]) for n in (1, 2, 3)]
    write = wrote(1, "red", "blue", *setting)
    show(HistoryPage([write]))
    assert [line[4] for line in rows[2:]] == ['"red" → "blue"', SAME_WRITE, SAME_WRITE]
    rows.clear()
    show(HistoryPage([write]), Wanted(producer="p2"))
    assert [line[4] for line in rows[2:]] == ['"red" → "blue"']


def test_joins_and_repeats_stand_where_they_happened(rows: list[list[str]]) -> None:
    """The latest first, each with its region where there are several; a join tells what each side had."""
    sides = [Side("eu", "eu:1", "1"), Side("us", "us:1", "")]
    join = wrote(0, 1, 2, at=1, sides=sides, region="eu")
    again, late = delivery(judged_at=NOW_MS + 2), delivery(judged_at=NOW_MS + 3)
    late = structs.replace(late, outcome=Outcome(Status.EXPIRED))
    show(HistoryPage([join, wrote(1, 0, 1)], [late, again]))
    assert [line[1:5] for line in rows[2:]] == [
        [REGION, "came too late", "game-1#1", "expired"],
        [REGION, "came again", "game-1#1", "duplicate (applied)"],
        ["eu", "joined eu 1, us", "", "resolved"],
        [REGION, "add +1", "game-1#1", "applied"],
    ]
    assert rows[4][5] == "1 → 2"


def test_what_is_missing_is_said(rows: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """Regions that could not be read, and that there is more, on standard error; then the region stays a column."""
    show(HistoryPage([wrote(1, 0, 1)], before=NOW_MS, not_read={"us": "away"}))
    said = capsys.readouterr().err
    assert "not all that us wrote is here: away" in said
    assert f"--until '{zoned_time(NOW_MS - 1)}'" in said
    assert "region" in rows[1]


def test_what_was_put_aside_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    """It stands in no history; of a player of whom nothing was, nothing is said."""
    service = World().calls()
    note_put_aside(service, "ada")
    assert capsys.readouterr().err == ""
    world = World()
    ours = [structs.replace(letter(f"stream-{n}"), identity=Identity("p", n, "ada", "gold")) for n in (1, 2)]
    world.dead_letters.put(
        [*ours, structs.replace(ours[0], letter_id="other", identity=Identity("p", 1, "eve", "gold"))]
    )
    note_put_aside(world.calls(), "ada")
    assert "2 dead letters of this player: playerstate dead-letters list --player ada" in capsys.readouterr().err


def test_a_limit_cuts_between_milliseconds_and_the_hint_skips_none(
    rows: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was written at once is shown whole, and whoever follows the hints sees every line once."""
    eight = [wrote(n, n - 1, n + 4, *map(cause, range(n, n + 5)), at=n) for n in range(1, 41, 5)]
    node: Any = FakeNode(*eight, wrote(99, 40, 41, at=36))
    before, seen = None, []
    for _ in range(8):
        page = collect(node, "anna", "gold", None, before, EVERYTHING, limit=3, everywhere=True)
        rows.clear()
        show(page, limit=3)
        seen += [int(line[-4].removeprefix("game-1#")) for line in rows[2:]]
        said = capsys.readouterr().err
        before = parse_moment(said.split("'")[1], now_ms=0) + 1 if "--until" in said else None
        assert ("3 more than 3" in said) is (seen[-1] == 36)
    assert before is None
    assert sorted(seen) == [*range(1, 41), 99]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (1, 2000, "1 → 2,000"),
        ("9007199254740993", "9007199254740994", "9,007,199,254,740,993 → 9,007,199,254,740,994"),
        ({"a": 1, "b": 2}, {"a": 3, "c": 4, "b": 2}, "a: 1 → 3, c: none → 4"),
        ({"a": 1}, {"a": 1}, "as it was"),
        ({str(n): 0 for n in range(6)}, {}, "0: 0 → none, 1: 0 → none, 2: 0 → none, 3: 0 → none, and 2 more"),
        (["x", "y"], ["y", "z"], '-"x", +"z"'),
        (None, "red", 'null → "red"'),
        (True, True, "= true"),
        ("x" * 90, "y", '"' + "x" * 38 + '… → "y"'),
    ],
)
def test_of_a_value_the_part_is_told_that_changed(before: Json, after: Json, told: str) -> None:
    """Numbers are exact, of any size."""
    assert change(before, after) == told


def test_amounts_are_told_only_where_they_lead_from_one_value_to_the_other() -> None:
    """What came from another region meanwhile is in the value after, and in no amount."""
    assert steps_of(wrote(1, 5, 9, cause(1, delta=4))) == ["5 → 9"]
    assert steps_of(wrote(1, 5, 10, cause(1, delta=4))) == []
    assert steps_of(wrote(1, "red", "blue", structs.replace(cause(1), effects=[Effect("set")]))) == []
    assert steps_of(wrote(1, True, False, structs.replace(cause(1), effects=[Effect("disable")]))) == []


def test_items_are_told_after_every_update() -> None:
    """Those that it changed; what was refused, or found things as they should be, changed none."""
    ore, gem = structs.replace(cause(1), effects=[Effect("add", 3, "ore"), Effect("add", 1, "gem")]), cause(2)
    gem = structs.replace(gem, effects=[Effect("replace", deltas={"ore": -5, "gem": -1})])
    same = structs.replace(cause(4), effects=[Effect("replace", deltas={})])
    write = wrote(1, {"ore": 2}, {}, ore, gem, REFUSED, same)
    assert steps_of(write) == ["gem: none → 1, ore: 2 → 5", "gem: 1 → none, ore: 5 → none", "as it was", "as it was"]


def test_moments_are_taken_as_they_are_told() -> None:
    """Times of the wall clock, with a zone or without, milliseconds, and how long ago."""
    assert parse_moment(local_time(NOW_MS + 7), now_ms=0) == NOW_MS + 7
    assert parse_moment("2023-11-14T22:13:20Z", now_ms=0) == parse_moment(str(NOW_MS), now_ms=0) == NOW_MS
    assert parse_moment("2h", now_ms=NOW_MS) == NOW_MS - 7_200_000
    assert parse_moment("90s", now_ms=NOW_MS) == NOW_MS - 90_000
    assert parse_moment(zoned_time(NOW_MS + 7), now_ms=0) == NOW_MS + 7
    assert zoned_time(NOW_MS).startswith(f"{local_time(NOW_MS)}+" if "+" in zoned_time(NOW_MS) else local_time(NOW_MS))
    first, last = [parse_moment("2023-11-14", now_ms=0, end=end) for end in (False, True)]
    assert (local_time(first)[11:], local_time(last)) == ("00:00:00.000", "2023-11-14 23:59:59.999")
    assert parse_moment("2023-11-14T22:13:20Z", now_ms=0, end=True) == NOW_MS
    for bad in ("", "soon", "2x", "-2h", "12", "2023-13-01"):
        with pytest.raises(typer.BadParameter):
            parse_moment(bad, now_ms=NOW_MS)
    lasted = [duration(ms) for ms in (7, 1500, 600_000, 9_000_000, 10**9)]
    assert lasted == ["7 ms", "1.5 s", "10.0 min", "2.5 h", "11.6 d"]


class FakeNode:
    """A node with a history, in pages of two at most."""

    schema = SCHEMA

    def __init__(self, *written: Transition, **rest: Any) -> None:
        self._written = written
        self._rest = rest

    def history(
        self, _: str, state_key: str | None, *, since: int | None, before: int | None, limit: int, **__: Any
    ) -> HistoryPage:
        found = [t for t in self._written if state_key in (None, t.state_key)]
        found = [t for t in found if since is None or t.written_at >= since]
        found = [t for t in found if before is None or t.written_at < before]
        shown, rest = merged([(list(found), None)], min(limit, 2))
        return HistoryPage([t for t in shown if isinstance(t, Transition)], before=rest, **self._rest)


def told(capsys: pytest.CaptureFixture[str], node: Any, at: int, key: str | None = "gold") -> str:
    show_recalled(recall(node, "anna", key, NOW_MS + at, everywhere=True, as_json=False), as_json=False)
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_pages_are_put_together() -> None:
    """Up to the limit, or to the end."""
    node: Any = FakeNode(*[wrote(n, n - 1, n, at=n) for n in range(1, 8)])
    page = collect(node, "anna", None, None, None, EVERYTHING, limit=5, everywhere=True)
    assert ([t.last for t in page.transitions], page.before) == ([7, 6, 5, 4, 3], NOW_MS + 3)
    page = collect(node, "anna", None, None, None, EVERYTHING, limit=50, everywhere=True)
    assert (len(page.transitions), page.before) == (7, None)


def test_a_value_of_then_is_a_sum_and_says_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    """Over all regions, whatever came later; readers of each saw what it had heard of."""
    us = wrote(1, 10, 12, structs.replace(cause(1), effects=[Effect("add", 2)]), at=2, region="us")
    node = FakeNode(wrote(1, 10, 11, at=1), us, wrote(2, 13, 14, at=3))
    said = told(capsys, node, 2)
    assert f"anna/gold was 13 at {local_time(NOW_MS + 2)}." in said
    assert f"The sum of 2 updates: 10 to begin with, +1 by 1 of {REGION}, +2 by 1 of us." in said
    assert "by us, version us:1, and was 12 there." in said
    assert "These writes had not seen each other" in said
    assert "Not certain" not in said
    assert "Not certain: not all that ap wrote could be read." in told(capsys, FakeNode(us, not_read={"ap": "away"}), 2)


def test_a_region_that_was_not_asked_is_doubted(capsys: pytest.CaptureFixture[str]) -> None:
    """It is named in the versions of what this region wrote since an erasure, so what it added may be lacking."""
    erasing = structs.replace(cause(1), effects=[Effect(ERASE, field="asked for")])
    joined = wrote(2, 17, 18, version=f"eu:1,{REGION}:2", epoch=1, at=1)
    node: Any = FakeNode(wrote(1, None, 10, erasing, epoch=1), joined, complete_since={REGION: 0})
    show_recalled(recall(node, "anna", "gold", NOW_MS + 5, everywhere=False, as_json=False), as_json=False)
    said = capsys.readouterr()
    assert "anna/gold was 18 at" in said.out
    assert "Not certain: not all that eu wrote could be read." in said.out
    assert "the history lacks the steps eu:1" in said.out
    assert "not all that eu wrote is here: it was not asked" in said.err


def test_where_regions_differed_each_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is no sum cannot be worked out from two that had not heard of each other."""
    setting = structs.replace(cause(1), effects=[Effect("set")])
    eu, us = [wrote(1, None, name, setting, region=name, state_key="guild") for name in ("eu", "us")]
    said = told(capsys, FakeNode(eu, us), 5, key="guild")
    assert "anna/guild was not the same everywhere" in said
    assert 'and was "eu" there' in said
    assert 'and was "us" there' in said
    assert "Not certain: the last writes had not seen each other" in said


def test_a_last_write_that_was_told_late_may_have_later_ones_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is no sum is told with the rows that lay beside it then, but for those that had seen it."""
    setting = structs.replace(cause(1), effects=[Effect("set")])
    eu = wrote(1, None, "silver", setting, region="eu", state_key="guild")
    us = wrote(1, None, "silver", setting, region="us", state_key="guild", at=3_600_000)
    said = told(capsys, FakeNode(eu, us), 5, key="guild")
    assert "Not certain: us wrote later without having seen that" in said
    seen = structs.replace(us, version="eu:1,us:1")
    again = structs.replace(us, version="eu:1,us:2", first=2, last=2, written_at=us.written_at + 1)
    assert "Not certain" not in told(capsys, FakeNode(eu, seen, again), 5, key="guild")
    assert "us wrote later" in told(capsys, FakeNode(eu, us, again), 5, key="guild")


def test_missing_steps_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Then the last write is believed, and it is said."""
    said = told(capsys, FakeNode(wrote(5, 20, 21, at=1), wrote(1, 10, 11)), 5)
    assert "anna/gold was 21" in said
    assert f"Not certain: the history lacks the steps {REGION}:2-4, so nothing is added up" in said


def test_a_history_that_begins_later_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Because what went before was let go, or erased; where nothing went before, the key had not been written."""
    begins = wrote(5, 20, 21, at=9)
    said = told(capsys, FakeNode(begins), 5)
    assert "anna/gold is not known at" in said
    assert f"Its history begins at {local_time(NOW_MS + 9)}, when {REGION} found it as 20." in said
    erasing = structs.replace(cause(5), effects=[Effect(ERASE, field="asked for")])
    erased = FakeNode(wrote(5, None, 10, erasing, at=9, epoch=1))
    assert "asked for. What it was before is gone for good." in told(capsys, erased, 5)
    assert f"Erased at {local_time(NOW_MS + 9)} by {REGION}: asked for." in told(capsys, erased, 9)
    unwritten = told(capsys, FakeNode(wrote(1, 10, 11, at=9)), 5)
    assert "had not been written by" in unwritten
    assert "it was 10." in unwritten
    assert "Nothing is recorded" in told(capsys, FakeNode(), 5, key=None)


def test_all_keys_are_told_and_those_that_nobody_knows_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Each for itself; a key of a newer schema is left out, and that is said."""
    ore = structs.replace(cause(1), effects=[Effect("add", 3, "ore")])
    bag = wrote(1, {}, {"ore": 3}, ore, state_key="bag")
    node = FakeNode(wrote(1, 10, 11), bag, wrote(1, None, 1, state_key="gems"))
    said = told(capsys, node, 0, key=None)
    assert 'anna/bag was {"ore":3}' in said
    assert "The sum of 1 update: 1 of" in said
    assert "anna/gold was 11" in said
    assert "gems is left out" in said


def test_the_values_of_then_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    """With everything that a program needs to judge them; numbers beyond 2^53 are text, as everywhere."""
    large = structs.replace(cause(1), effects=[Effect("add", 10**30)])
    node: Any = FakeNode(wrote(1, 10, str(10**30 + 10), large), wrote(3, 0, 1, at=1, state_key="bag"))
    show_recalled(recall(node, "anna", None, NOW_MS, everywhere=True, as_json=True), as_json=True)
    document = msgspec.json.decode(capsys.readouterr().out)
    gold, bag = document["keys"]["gold"], document["keys"]["bag"]
    assert (gold["value"], gold["how"], gold["uncertain"]) == (str(10**30 + 10), "summed", [])
    assert gold["sums"] == {REGION: {"updates": 1, "sums": {"": str(10**30)}}}
    assert (bag["value"], bag["how"]) == (None, "unknown")
    assert bag["uncertain"] == ["the history begins later than the key"]
    assert bag["begins_at"] == NOW_MS + 1


def test_times_out_of_range_are_refused() -> None:
    """As what was called wrongly, not as a fault of the program."""
    with pytest.raises(typer.BadParameter):
        parse_moment("99999-01-01", now_ms=0)
    assert not issubclass(typer.BadParameter, PlayerStateError)


def test_a_history_that_is_behind_the_store_is_doubted(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps that the store has and no log tells of: unless their region wrote later, they may have been by then."""
    behind: dict[str, Any] = {"complete_since": {REGION: 0}, "present": {"gold": f"{REGION}:2"}}
    said = told(capsys, FakeNode(wrote(1, 10, 11), **behind), 5)
    assert "anna/gold was 11" in said
    assert f"it lacks the steps {REGION}:2." in said
    assert "Not certain" not in told(capsys, FakeNode(wrote(1, 10, 11), wrote(2, 11, 12, at=9), **behind), 5)
    behind["present"]["gold"] = f"{REGION}:3"
    assert "Not certain" not in told(capsys, FakeNode(wrote(1, 10, 11), wrote(2, 11, 12, at=9), **behind), 5)


def test_what_was_let_go_is_not_taken_for_what_never_was(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the store has a row, or cannot say, the value is unknown; where it has none, nothing had been written."""
    trimmed: dict[str, Any] = {"complete_since": {REGION: NOW_MS}}
    for key in ("gold", None):
        said = told(capsys, FakeNode(**trimmed, present={"gold": f"{REGION}:4"}), 5, key=key)
        assert "anna/gold is not known at" in said
        assert f"it lacks the steps {REGION}:1-4." in said
    node: Any = FakeNode(**trimmed, present={"gold": f"{REGION}:4"})
    show_recalled(recall(node, "anna", "gold", NOW_MS, everywhere=True, as_json=True), as_json=True)
    gold = msgspec.json.decode(capsys.readouterr().out)["keys"]["gold"]
    assert (gold["value"], gold["how"], gold["behind"]) == (None, "unknown", {REGION: [[1, 4]]})
    said = told(capsys, FakeNode(**trimmed), 5)
    assert "is not known" in said
    assert "what was written may have been let go" in said
    assert "it was 10." in told(capsys, FakeNode(**trimmed, present={}), 5)
    said = told(capsys, FakeNode(not_read={REGION: "away"}, present={"gold": f"{REGION}:4"}), 5)
    assert "is not known" in said
    assert "let go" not in said, "of a region that could not be read nothing else need be said"


def test_a_history_says_since_when_it_is_complete(rows: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """At its end: before that there may have been more."""
    show(HistoryPage([wrote(1, 0, 1)], complete_since={REGION: NOW_MS}))
    assert f"the history of {REGION} is complete since {local_time(NOW_MS)}" in capsys.readouterr().err
    show(HistoryPage([wrote(1, 0, 1)], before=NOW_MS, complete_since={REGION: NOW_MS - 9, "us": 0}))
    assert "complete since" not in capsys.readouterr().err
