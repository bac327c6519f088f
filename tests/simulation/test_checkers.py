"""The checkers, on histories written by hand: they are silent on what is right, and name what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from playerstate.core.model import Cause, Effect, Key, Op, Status, Update
from playerstate.simulation.checkers import CHECKERS, violations
from playerstate.simulation.history import Committed, Final, History, Read, Sent
from playerstate.simulation.world import SCHEMA

GOLD, BAG, FRIENDS = Key("ada", "gold"), Key("ada", "bag"), Key("ada", "friends")
NOW_MS = 1_800_000_000_000


def earn(n: int, sequence: int) -> Update:
    return Update([Op("ada", "gold", "add", n=n)], "server", sequence, NOW_MS)


def purchase(sequence: int) -> Update:
    ops = [Op("ada", "gold", "subtract", n=3), Op("ada", "bag", "add", item="ore", n=1)]
    return Update(ops, "server", sequence, NOW_MS)


def cause(n: int, sequence: int, delta: int, *, of: Key | None = None, status: Status = Status.APPLIED) -> Cause:
    return Cause(n, "server", sequence, NOW_MS, NOW_MS, [Effect("add", delta)], status, None, of)


def read(version: str, value: Any, *, key: Key = GOLD, generation: int = 0) -> Read:
    return Read("r1", key, generation, version, value)


def good() -> History:
    """Five are earned, three are spent on ore, and a refused update does nothing; two regions."""
    finals = {
        GOLD: Final({"r1": b"gold", "r2": b""}, 22, 22, None, {"r1": "r1:3", "r2": "r1:1"}),
        BAG: Final({"r1": b"bag"}, {"ore": 1}, None, None),
        FRIENDS: Final({}, ["x"], ["x"], ["x"]),
    }
    history = History(
        SCHEMA,
        sent=[Sent("r1", earn(5, 1)), Sent("r1", purchase(2)), Sent("r1", earn(9, 3))],
        reads=[read("r1:1", 25), read("r1:2", 22), read("r1:1", 25, generation=1)],
        committed=[
            Committed("r1", GOLD, cause(1, 1, 5)),
            Committed("r1", GOLD, cause(2, 2, -3)),
            Committed("r1", BAG, cause(1, 2, 1, of=GOLD)),
            Committed("r1", GOLD, cause(3, 3, 9, status=Status.REFUSED)),
        ],
        finals={"r1": dict(finals), "r2": dict(finals)},
    )
    history.recorded = list(history.committed)
    return history


def lose_an_update(history: History) -> None:
    del history.committed[3], history.recorded[3]


def process_twice(history: History) -> None:
    again = Committed("r2", GOLD, cause(1, 3, 9, status=Status.REFUSED))
    history.committed.append(again)
    history.recorded.append(again)


def half_a_purchase(history: History) -> None:
    del history.committed[2], history.recorded[2]


def out_of_order(history: History) -> None:
    history.committed[0], history.committed[3] = history.committed[3], history.committed[0]


def count_twice(history: History) -> None:
    for finals in history.finals.values():
        finals[GOLD] = finals[GOLD]._replace(view=27, cached=27)


def overspend(history: History) -> None:
    history.reads.append(read("r1:3", {"ore": -1}, key=BAG))


def go_backwards(history: History) -> None:
    history.reads.append(read("r1:1", 25))


def go_sideways(history: History) -> None:
    history.reads.append(read("r2:9", 22))


def differ(history: History) -> None:
    history.finals["r2"][BAG] = history.finals["r2"][BAG]._replace(rows={"r1": b"other"})


def leave_a_conflict(history: History) -> None:
    for finals in history.finals.values():
        finals[GOLD] = finals[GOLD]._replace(versions={"r1": "r1:3", "r2": "r1:1,r2:1"})


def miss_a_row(history: History) -> None:
    del history.finals["r2"][BAG]


def never_rest(history: History) -> None:
    history.at_rest = False


def stale_cache(history: History) -> None:
    history.finals["r1"][GOLD] = history.finals["r1"][GOLD]._replace(cached=25)


def false_friend(history: History) -> None:
    history.finals["r1"][FRIENDS] = history.finals["r1"][FRIENDS]._replace(edges=["x", "y"])


def forget_a_cause(history: History) -> None:
    del history.recorded[0]


def record_twice(history: History) -> None:
    history.recorded.append(history.recorded[0])


@pytest.mark.parametrize(
    ("spoil", "checker"),
    [
        (lose_an_update, "nothing_acknowledged_is_lost"),
        (process_twice, "once"),
        (half_a_purchase, "whole"),
        (out_of_order, "in_order"),
        (count_twice, "sums"),
        (overspend, "never_overspent"),
        (go_backwards, "never_backwards"),
        (go_sideways, "never_backwards"),
        (differ, "converged"),
        (miss_a_row, "converged"),
        (leave_a_conflict, "resolved"),
        (never_rest, "at_rest"),
        (stale_cache, "cache_in_step"),
        (false_friend, "graph_in_step"),
        (forget_a_cause, "explained"),
        (record_twice, "explained"),
    ],
)
def test_each_bad_history_is_named_by_its_checker(spoil: Callable[[History], None], checker: str) -> None:
    """And by no other, so that what is told is what is wrong."""
    history = good()
    spoil(history)
    assert {violation.partition(":")[0] for violation in violations(history)} == {checker}


def test_a_good_history_is_passed_by_all() -> None:
    """Also one in which what was not acknowledged took effect, and one that was repeated elsewhere did nothing."""
    assert violations(good()) == []
    unsure = good()
    unsure.unsure.append(unsure.sent.pop(0).update)
    assert violations(unsure) == []
    stale = good()
    stale_cache(stale)
    stale.stale_for_good.append(("r1", GOLD))
    assert violations(stale) == []


def test_checkers_change_nothing() -> None:
    """They are functions of the history."""
    history = good()
    before = msgspec.structs.astuple(good())
    assert [list(checker(history)) for checker in CHECKERS] == [[] for _ in CHECKERS]
    assert msgspec.structs.astuple(history) == before
