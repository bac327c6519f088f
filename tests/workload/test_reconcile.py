"""Accounting for updates, on regions written by hand: what is right passes, and every planted loss is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from playerstate.core.model import Cause, Effect, Identity, Key, Op, Status, Transition, Update
from playerstate.core.schema import parse_schema
from playerstate.folder import starter_schema
from playerstate.workload.compare import Seen
from playerstate.workload.reconcile import Accounts, RegionRead, reconcile
from playerstate.workload.tape import Sent

SCHEMA = parse_schema(starter_schema())
GOLD, ITEMS, FRIENDS = Key("ada", "gold"), Key("ada", "inventory"), Key("ada", "friends")
NOTHING = msgspec.Raw(b"null")

Regions = dict[str, RegionRead]


def wrote(key: Key, region: str, version: str, *causes: Cause) -> Transition:
    return Transition(*key, region, causes[0].n, causes[-1].n, 0, "", version, NOTHING, NOTHING, list(causes))


def cause(n: int, one: Sent, *effects: Effect, **rest: Any) -> Cause:
    return Cause(n, one.update.producer, one.update.sequence, 0, 0, list(effects), **rest)


EARNED = Sent(0, "a", Update([Op("ada", "gold", "add", n=50)], "server-a", 1))
BOUGHT = Sent(
    1, "a", Update([Op("ada", "gold", "subtract", n=30), Op("ada", "inventory", "add", item="bow", n=1)], "server-a", 2)
)
GIVEN = Sent(2, "b", Update([Op("ada", "gold", "add", n=5)], "server-b", 1))
REFUSED = Sent(3, "b", Update([Op("ada", "gold", "subtract", n=20)], "server-b", 2))
FRIENDED = Sent(4, "b", Update([Op("ada", "friends", "add", elements=["bob"])], "server-b", 1))
SENT = [EARNED, BOUGHT, GIVEN, REFUSED, FRIENDED]
ANSWERED = {one.identity: "applied" for one in SENT} | {REFUSED.identity: "refused:rights_elsewhere"}

HISTORIES = {
    "a": [
        wrote(GOLD, "a", "a:2", cause(1, EARNED, Effect("add", 50)), cause(2, BOUGHT, Effect("subtract", -30))),
        wrote(ITEMS, "a", "a:1", cause(1, BOUGHT, Effect("add", 1, "bow"), of=tuple(GOLD))),
    ],
    "b": [
        wrote(
            GOLD,
            "b",
            "a:1,b:2",
            cause(1, GIVEN, Effect("add", 5)),
            cause(2, REFUSED, status=Status.REFUSED, reason="rights_elsewhere"),
        ),
        wrote(FRIENDS, "b", "b:1", cause(1, FRIENDED, Effect("add", elements=["bob"]))),
    ],
}
VIEWS = {GOLD: Seen("a:2,b:2", 25), ITEMS: Seen("a:1", {"bow": 1}), FRIENDS: Seen("b:1", ["bob"])}


@pytest.fixture
def regions() -> Regions:
    return {
        name: RegionRead(dict(VIEWS), dict(VIEWS), {FRIENDS: ["bob"]}, copy.deepcopy(history))
        for name, history in HISTORIES.items()
    }


def account(regions: Regions, answered: dict[Identity, str] | None = None) -> Accounts:
    return reconcile(regions, SCHEMA, SENT, answered or ANSWERED)


def test_all_that_is_as_it_must_be_is_accounted_for(regions: Regions) -> None:
    """Nothing is lost, nothing is found, and the gold is what the applied updates come to."""
    accounts = account(regions)
    assert accounts == Accounts(5, 4, 0, 0, 0, 3, {"applied": 4, "refused:rights_elsewhere": 1}, [])


def _see_everywhere(key: Key, seen: Seen) -> Callable[[Regions], None]:
    def change(regions: Regions) -> None:
        for read in regions.values():
            read.store[key] = read.cache[key] = seen

    return change


def _forget_history(regions: Regions) -> None:
    del regions["b"].history[1]


def _tell_twice(regions: Regions) -> None:
    regions["b"].history.append(regions["a"].history[0])


def _stale_cache(regions: Regions) -> None:
    regions["b"].cache[GOLD] = Seen("a:1,b:2", 55)


def _no_edge(regions: Regions) -> None:
    regions["a"].edges[FRIENDS] = []


def _row_missing(regions: Regions) -> None:
    del regions["b"].store[ITEMS]


def _missing_everywhere(regions: Regions) -> None:
    for read in regions.values():
        del read.store[ITEMS], read.cache[ITEMS]


def _nobodys(regions: Regions) -> None:
    stranger = Cause(3, "nobody", 1, 0, 0, [Effect("add", 1)])
    regions["a"].history.append(wrote(GOLD, "a", "a:3,b:2", stranger))


def _other_answer(regions: Regions) -> None:
    last = regions["b"].history[0]
    last.causes[1] = msgspec.structs.replace(last.causes[1], reason="insufficient")


@pytest.mark.parametrize(
    ("plant", "found", "lost"),
    [
        (_see_everywhere(GOLD, Seen("a:2,b:2", 20)), "ada/gold is 20, and its updates come to 25", 4),
        (_see_everywhere(GOLD, Seen("a:2,b:2", 55)), "ada/gold is 55, and its updates come to 25", 4),
        (_see_everywhere(ITEMS, Seen("a:1", {})), "come to", 1),
        (_see_everywhere(FRIENDS, Seen("b:1", [])), "ada/friends", 1),
        (_see_everywhere(GOLD, Seen("a:1,b:2", 25)), "took a step of ada/gold that a does not have", 1),
        (_forget_history, "no history of ada/friends has it", 1),
        (_tell_twice, "is in the histories 2 times: a, b", 2),
        (_stale_cache, "in the cache of b", 4),
        (_no_edge, "in the graph of a", 1),
        (_row_missing, "in the store of b", 1),
        (_missing_everywhere, "is not in the store of a", 1),
        (_other_answer, "is refused:insufficient in the history of b", 1),
        (_nobodys, "nobody sent it", 0),
    ],
)
def test_what_is_wrong_is_found(regions: Regions, plant: Callable[[Regions], None], found: str, lost: int) -> None:
    """The update that it concerns is not accounted for, and it is said why."""
    plant(regions)
    accounts = account(regions)
    assert any(found in finding for finding in accounts.findings), accounts.findings
    assert accounts.lost >= lost


def test_gold_out_of_nothing_is_counted(regions: Regions) -> None:
    """How much is too much or too little, by the sum of what was applied."""
    _see_everywhere(GOLD, Seen("a:2,b:2", 55))(regions)
    assert account(regions).gold_spent_twice == 30
    _see_everywhere(GOLD, Seen("a:2,b:2", 20))(regions)
    assert account(regions).gold_gone == 5


def test_an_update_without_an_answer_is_not_accounted_for(regions: Regions) -> None:
    """It was accepted, so it has to have an outcome."""
    accounts = account(regions, {**ANSWERED, GIVEN.identity: "unknown"})
    assert accounts.lost == 1
