"""The checkers of sets and of erasures, and the others where something was erased, on histories written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from playerstate.core.erasure import erasure
from playerstate.core.model import Cause, Effect, Key, Op, Status, Update
from playerstate.simulation.checkers import violations
from playerstate.simulation.history import Committed, Final, History, Sent
from playerstate.simulation.world import SCHEMA
from simulation.audits import audits_of

FRIENDS, GOLD, NAME = Key("ada", "friends"), Key("ada", "gold"), Key("ada", "name")
NOW_MS = 1_800_000_000_000
ERASE_NAME = erasure(NAME, "asked for", eraser="@erase:r1", sequence=1, now=NOW_MS)
ERASE_GOLD = erasure(GOLD, "asked for", eraser="@erase:r1", sequence=2, now=NOW_MS)


def friends(name: str, *elements: str, sequence: int, seen: str | None = None) -> Update:
    return Update([Op(*FRIENDS, name, elements=list(elements))], "server", sequence, NOW_MS, seen)


def earn(n: int, producer: str) -> Update:
    return Update([Op(*GOLD, "add", n=n)], producer, 1, NOW_MS)


def rename(value: str, sequence: int) -> Update:
    return Update([Op(*NAME, "set", value=value)], "server", sequence, NOW_MS)


def done(region: str, n: int, update: Update, *, epoch: int = 0, knew: dict[str, int] | None = None) -> Committed:
    (op,) = update.ops
    elements = op.elements if isinstance(op.elements, list) else None
    effects = [Effect(op.op, op.n if isinstance(op.n, int) else None, elements=elements)]
    cause = Cause(n, update.producer, update.sequence, NOW_MS, NOW_MS, effects, Status.APPLIED)
    return Committed(region, op.key, cause, epoch, knew or {})


def finals(values: dict[Key, Any]) -> dict[str, dict[Key, Final]]:
    found = {key: Final({}, value, None, value if key is FRIENDS else None) for key, value in values.items()}
    return {"r1": dict(found), "r2": dict(found)}


def of(streamed: dict[str, list[Update]], committed: list[Committed], values: dict[Key, Any]) -> History:
    sent = [Sent(region, one) for region, all_sent in streamed.items() for one in all_sent if "@" not in one.producer]
    history = History(SCHEMA, sent=sent, streamed=streamed, committed=committed, finals=finals(values))
    epochs = {one.key: max(other.epoch for other in committed if other.key == one.key) for one in committed}
    history.recorded = [one for one in committed if one.epoch == epochs[one.key]]
    history.audits = audits_of(history.recorded)
    return history


def show(history: History, key: Key, value: Any) -> None:
    edges = value if key is FRIENDS else None
    for found in history.finals.values():
        found[key] = found[key]._replace(view=value, edges=edges)


def befriended() -> History:
    """x, y and z are added, x is removed with all that was there, y by one who had seen it; then y is added again."""
    first, both = friends("add", "x", "y", sequence=1), friends("add", "z", sequence=2)
    gone, seen_gone = friends("remove", "x", sequence=3), friends("remove", "y", sequence=4, seen="r1:1")
    again = friends("add", "y", sequence=5)
    committed = [
        done("r1", 1, first),
        done("r1", 2, both),
        done("r2", 1, gone, knew={"r1": 1}),
        done("r2", 2, seen_gone, knew={"r1": 2, "r2": 1}),
        done("r1", 3, again),
    ]
    return of({"r1": [first, both, again], "r2": [gone, seen_gone]}, committed, {FRIENDS: ["y", "z"]})


def lose_an_element(history: History) -> None:
    show(history, FRIENDS, ["y"])


def remove_what_had_not_come(history: History) -> None:
    history.committed[2] = history.committed[2]._replace(knew={})


def remove_what_was_not_seen(history: History) -> None:
    late = friends("remove", "y", sequence=4, seen="r2:1")
    history.streamed["r2"][1] = late
    history.committed[4] = done("r1", 3, friends("add", "z", sequence=5))
    show(history, FRIENDS, ["z"])


def remove_what_was_added_since(history: History) -> None:
    show(history, FRIENDS, ["z"])


@pytest.mark.parametrize(
    "spoil", [lose_an_element, remove_what_had_not_come, remove_what_was_not_seen, remove_what_was_added_since]
)
def test_elements_that_nobody_removed_are_missed(spoil: Callable[[History], None]) -> None:
    """By the one checker that looks at them; what is as it should be passes."""
    history = befriended()
    assert violations(history) == []
    spoil(history)
    history.recorded = list(history.committed)
    assert {violation.partition(":")[0] for violation in violations(history)} == {"added_elements_stay"}


def erased() -> History:
    """Five are earned and a name is given, both are erased, two are earned since; r2 earned and renamed meanwhile."""
    old, since, elsewhere = earn(5, "server"), earn(2, "later"), earn(9, "other")
    name, other_name = rename("Ada", 1), Update([Op(*NAME, "set", value="Eve")], "other", 1, NOW_MS)
    committed = [
        done("r1", 1, old),
        done("r1", 1, name),
        done("r1", 2, ERASE_NAME, epoch=1),
        done("r1", 2, ERASE_GOLD, epoch=1),
        done("r1", 3, since, epoch=1),
        done("r2", 1, elsewhere),
        done("r2", 1, other_name),
    ]
    streamed = {"r1": [old, name, ERASE_NAME, ERASE_GOLD, since, old], "r2": [elsewhere, other_name]}
    return of(streamed, committed, {GOLD: 22, NAME: None})


def nothing_erased(history: History) -> None:
    show(history, GOLD, 36)


def more_erased(history: History) -> None:
    show(history, GOLD, 20)


def old_name_shows(history: History) -> None:
    show(history, NAME, "Ada")


def takes_effect_late(history: History) -> None:
    late = done("r1", 4, earn(5, "server"), epoch=1)
    history.committed[0] = late
    history.committed.append(history.committed.pop(0))
    history.recorded.append(late)
    history.audits = audits_of(history.recorded)
    show(history, GOLD, 27)


def is_not_done(history: History) -> None:
    history.committed = [one._replace(epoch=0) for one in history.committed if one.cause.producer != "@erase:r1"]
    history.recorded = list(history.committed)
    history.audits = audits_of(history.recorded)
    show(history, GOLD, 36)


def is_done_twice(history: History) -> None:
    twice = done("r1", 4, ERASE_GOLD, epoch=1)
    history.committed.append(twice)
    history.recorded.append(twice)


def still_told(history: History) -> None:
    history.recorded.append(history.committed[0])


@pytest.mark.parametrize(
    ("spoil", "checkers"),
    [
        (nothing_erased, {"sums", "rebuilt"}),
        (more_erased, {"sums", "rebuilt"}),
        (old_name_shows, {"erased"}),
        (takes_effect_late, {"erased"}),
        (is_not_done, {"erased", "rebuilt"}),
        (is_done_twice, {"once"}),
        (still_told, {"explained"}),
    ],
)
def test_what_is_wrong_with_an_erasure_is_named(spoil: Callable[[History], None], checkers: set[str]) -> None:
    """By its checkers, and by no other; without it all are silent."""
    history = erased()
    assert violations(history) == []
    spoil(history)
    assert {violation.partition(":")[0] for violation in violations(history)} == checkers


def test_what_another_region_did_meanwhile_may_show() -> None:
    """The checker says nothing of it: whether it goes depends on who had heard of what."""
    history = erased()
    show(history, NAME, "Eve")
    assert violations(history) == []


def test_an_update_that_came_to_nothing_is_lost_only_where_nothing_was_erased() -> None:
    """What was sent before an erasure may be forgotten before it is applied; elsewhere that is a loss."""
    lost = rename("lost", 9)
    history = erased()
    history.sent.append(Sent("r1", lost))
    assert violations(history) == []
    other = Update([Op("bob", "name", "set", value="lost")], "server", 9, NOW_MS)
    history.sent.append(Sent("r1", other))
    assert [violation.partition(":")[0] for violation in violations(history)] == ["nothing_acknowledged_is_lost"]
