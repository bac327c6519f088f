"""The checkers of trials, on facts written by hand: they are silent on what is right, and name what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from playerstate.core.model import Cause, Identity, Key, Op, Status, Update
from playerstate.core.resolution import RESOLVER
from playerstate.simulation.history import Committed, Final, History, Read, Sent
from playerstate.trials.checkers import CHECKERS, SIMULATED, violations
from playerstate.trials.facts import Facts
from playerstate.trials.traffic import SCHEMA

GOLD, BAG, NAME, RANK, FRIENDS = (Key("ada", name) for name in ("gold", "bag", "name", "rank", "friends"))
NOW_MS = 1_800_000_000_000
INSUFFICIENT = "refused:insufficient"


def update(sequence: int, *ops: Op) -> Update:
    return Update(list(ops), "server", sequence, NOW_MS)


EARN = update(1, Op("ada", "gold", "add", n=5))
PURCHASE = update(2, Op("ada", "gold", "subtract", n=3), Op("ada", "bag", "add", item="ore", n=1))
TOO_DEAR = update(3, Op("ada", "gold", "subtract", n=99))
ADD = update(1, Op("ada", "friends", "add", elements=["server:0", "server:1"]))
REMOVE = update(2, Op("ada", "friends", "remove", elements=["server:1"]))
FIRST_NAME, LAST_NAME = (update(n, Op("ada", "name", "set", value=f"server {n}")) for n in (1, 2))
HIGH, LOW = (update(n, Op("ada", "rank", "set", value=10 - n)) for n in (1, 2))
SENT = [EARN, PURCHASE, TOO_DEAR, ADD, REMOVE, FIRST_NAME, LAST_NAME, HIGH, LOW]


def identity(sent: Update) -> Identity:
    return Identity(sent.producer, sent.sequence, *sent.first_key)


def committed(sent: Update, key: Key, n: int, *, refused: str | None = None) -> Committed:
    status = Status.REFUSED if refused else Status.APPLIED
    of = None if key == sent.first_key else sent.first_key
    return Committed("r1", key, Cause(n, "server", sent.sequence, NOW_MS, NOW_MS, [], status, refused, of))


def final(key: Key, view: Any, steps: int, *, edges: list[str] | None = None) -> Final:
    version = f"r1:{steps}"
    return Final({"r1": str(key).encode()}, view, view, edges, {"r1": version})


def good() -> Facts:
    """A player earns and buys, asks for something too dear, makes friends and loses one, in two regions; and a gift of
    rights, which is nobody's update, takes a step of gold."""
    finals = {
        GOLD: final(GOLD, 62, 4),
        BAG: final(BAG, {"ore": 1}, 1),
        FRIENDS: final(FRIENDS, ["server:0"], 2, edges=["server:0"]),
        NAME: final(NAME, "server 2", 2),
        RANK: final(RANK, 9, 2),
    }
    gift = Committed("r1", GOLD, Cause(4, RESOLVER, 4, NOW_MS, NOW_MS))
    history = History(
        SCHEMA,
        sent=[Sent("r1", one) for one in SENT],
        reads=[Read("r1", GOLD, 0, "r1:1", 65), Read("r1", GOLD, 0, "r1:2", 62), Read("r1", GOLD, 1, "r1:1", 65)],
        committed=[
            committed(EARN, GOLD, 1),
            committed(PURCHASE, GOLD, 2),
            committed(TOO_DEAR, GOLD, 3, refused="insufficient"),
            gift,
            committed(PURCHASE, BAG, 1),
            committed(ADD, FRIENDS, 1),
            committed(REMOVE, FRIENDS, 2),
            committed(FIRST_NAME, NAME, 1),
            committed(LAST_NAME, NAME, 2),
            committed(HIGH, RANK, 1),
            committed(LOW, RANK, 2),
        ],
        finals={"r1": dict(finals), "r2": dict(finals)},
    )
    outcomes = {identity(one): "applied" for one in SENT} | {identity(TOO_DEAR): INSUFFICIENT}
    return Facts(
        history, outcomes={"r1": dict(outcomes), "r2": dict(outcomes)}, dead_letters={"r1": [], "r2": []}, trouble=[]
    )


def show(facts: Facts, key: Key, view: Any, **also: Any) -> None:
    """Have both regions show something else."""
    for finals in facts.history.finals.values():
        finals[key] = finals[key]._replace(view=view, cached=view, **also)


def forget_an_outcome(facts: Facts) -> None:
    del facts.outcomes["r2"][identity(EARN)]


def answer_differently(facts: Facts) -> None:
    facts.outcomes["r2"][identity(EARN)] = INSUFFICIENT


def answer_what_is_not_recorded(facts: Facts) -> None:
    for outcomes in facts.outcomes.values():
        outcomes[identity(TOO_DEAR)] = "applied"


def answer_expired(facts: Facts) -> None:
    for outcomes in facts.outcomes.values():
        outcomes[identity(EARN)] = "expired"


def lose_a_record(facts: Facts) -> None:
    del facts.history.committed[4]


def record_a_step_twice(facts: Facts) -> None:
    facts.history.committed.append(facts.history.committed[0])


def record_an_update_twice(facts: Facts) -> None:
    facts.history.committed.append(committed(EARN, GOLD, 5))
    show(facts, GOLD, 62, versions={"r1": "r1:5"})


def record_what_nobody_sent(facts: Facts) -> None:
    facts.history.committed.append(committed(update(9, Op("ada", "bag", "add", item="ore", n=1)), BAG, 2))
    show(facts, BAG, {"ore": 1}, versions={"r1": "r1:2"})


def bring_back_a_friend(facts: Facts) -> None:
    show(facts, FRIENDS, ["server:0", "server:1"], edges=["server:0", "server:1"])


def show_the_first_name(facts: Facts) -> None:
    show(facts, NAME, "server 1")


def show_no_name(facts: Facts) -> None:
    for finals in facts.history.finals.values():
        del finals[NAME]


def show_the_lower_rank(facts: Facts) -> None:
    show(facts, RANK, 8)


def leave_a_letter(facts: Facts) -> None:
    facts.dead_letters["r2"] = ["stream-1: internal: a fault"]


def have_trouble(facts: Facts) -> None:
    facts.trouble = ["the node of r1 ended by itself"]


def lose_gold(facts: Facts) -> None:
    show(facts, GOLD, 57)


def half_a_purchase(facts: Facts) -> None:
    del facts.history.committed[4]
    show(facts, BAG, {"ore": 1}, versions={"r1": ""})


def read_negative(facts: Facts) -> None:
    facts.history.reads.append(Read("r2", GOLD, 0, "r1:3", -1))


def read_backwards(facts: Facts) -> None:
    facts.history.reads.append(Read("r1", GOLD, 0, "r1:1", 65))


def leave_the_cache_behind(facts: Facts) -> None:
    finals = facts.history.finals["r2"]
    finals[GOLD] = finals[GOLD]._replace(cached=65)


def lose_an_edge(facts: Facts) -> None:
    finals = facts.history.finals["r2"]
    finals[FRIENDS] = finals[FRIENDS]._replace(edges=[])


def differ(facts: Facts) -> None:
    finals = facts.history.finals["r2"]
    finals[GOLD] = finals[GOLD]._replace(rows={"r1": b"older"})


def never_rest(facts: Facts) -> None:
    facts.history.at_rest = False


BAD: list[tuple[Callable[[Facts], None], str]] = [
    (forget_an_outcome, "answered"),
    (answer_differently, "answered"),
    (answer_what_is_not_recorded, "answered"),
    (answer_expired, "answered"),
    (lose_a_record, "explained"),
    (record_a_step_twice, "explained"),
    (record_an_update_twice, "explained"),
    (record_what_nobody_sent, "explained"),
    (bring_back_a_friend, "members"),
    (show_the_first_name, "last_writes"),
    (show_no_name, "last_writes"),
    (show_the_lower_rank, "largest"),
    (leave_a_letter, "nothing_put_aside"),
    (have_trouble, "no_trouble"),
    (lose_gold, "sums"),
    (half_a_purchase, "whole"),
    (read_negative, "never_overspent"),
    (read_backwards, "never_backwards"),
    (leave_the_cache_behind, "cache_in_step"),
    (lose_an_edge, "graph_in_step"),
    (differ, "converged"),
    (never_rest, "at_rest"),
]


def test_what_is_right_is_passed_over() -> None:
    """No check finds anything in facts that are as they should be."""
    assert violations(good()) == []


@pytest.mark.parametrize(("spoil", "check"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_is_wrong_is_named(spoil: Callable[[Facts], None], check: str) -> None:
    """By the check that is there for it."""
    facts = msgspec.structs.replace(good())
    spoil(facts)
    assert check in {found.partition(":")[0] for found in violations(facts)}


def test_every_check_of_this_file_is_tried() -> None:
    """There is bad input for each; the simulator's own tests have it for the simulator's."""
    assert {check.__name__ for check in CHECKERS} <= {check for _, check in BAD}
    assert "explained" not in {check.__name__ for check in SIMULATED}
