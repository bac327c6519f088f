"""The checkers, on histories written by hand: they are silent on what is right, and name what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from playerstate.core.findings import CACHE, STORE, Finding, Kind
from playerstate.core.model import Cause, Effect, Key, Op, Status, Update
from playerstate.core.resolution import RESOLVER
from playerstate.simulation.checkers import CHECKERS, violations
from playerstate.simulation.history import Committed, Final, Gone, History, Read, Sent
from playerstate.simulation.world import SCHEMA
from simulation.audits import audits_of

GOLD, BAG, FRIENDS = Key("ada", "gold"), Key("ada", "bag"), Key("ada", "friends")
NOW_MS = 1_800_000_000_000


def earn(n: int, sequence: int) -> Update:
    return Update([Op("ada", "gold", "add", n=n)], "server", sequence, NOW_MS)


def purchase(sequence: int) -> Update:
    ops = [Op("ada", "gold", "subtract", n=3), Op("ada", "bag", "add", item="ore", n=1)]
    return Update(ops, "server", sequence, NOW_MS)


def cause(
    n: int, sequence: int, delta: int, *, item: str | None = None, of: Key | None = None, refused: bool = False
) -> Cause:
    status = Status.REFUSED if refused else Status.APPLIED
    return Cause(n, "server", sequence, NOW_MS, NOW_MS, [Effect("add", delta, item)], status, None, of)


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
            Committed("r1", BAG, cause(1, 2, 1, item="ore", of=GOLD)),
            Committed("r1", GOLD, cause(3, 3, 9, refused=True)),
        ],
        finals={"r1": dict(finals), "r2": dict(finals)},
    )
    history.recorded = list(history.committed)
    history.audits = audits_of(history.recorded)
    return history


def lose_an_update(history: History) -> None:
    del history.committed[3], history.recorded[3], history.audits["r1"][3]


def process_twice(history: History) -> None:
    again = Committed("r2", GOLD, cause(1, 3, 9, refused=True))
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


def cry_wolf(history: History) -> None:
    history.findings.append(stale_finding(GOLD))


def cry_wolf_over_spending(history: History) -> None:
    history.findings.append(structs.replace(stale_finding(GOLD), place=STORE, kind=Kind.OVERSPENT))


def stale_finding(key: Key) -> Finding:
    return Finding("1", "r1", CACHE, Kind.STALE, *key, "r1:3", "r1:2", NOW_MS, NOW_MS)


def record_another_amount(history: History) -> None:
    _record(history, 0, cause(1, 1, 6))


def record_a_refusal_as_applied(history: History) -> None:
    _record(history, 3, cause(3, 3, 9))


def lose_a_refusal(history: History) -> None:
    history.audits["r1"].append(msgspec.structs.replace(history.audits["r1"].pop(3), version="r1:4", causes=[]))


def take_a_gift_for_an_amount(history: History) -> None:
    gift = Cause(4, RESOLVER, 4, NOW_MS, NOW_MS, [Effect("add", 2)])
    history.audits["r1"] += audits_of([Committed("r1", GOLD, gift)])["r1"]


def _record(history: History, place: int, told: Cause) -> None:
    audit = history.audits["r1"]
    audit[place] = msgspec.structs.replace(audit[place], causes=[told])


@pytest.mark.parametrize(
    ("spoil", "checker"),
    [
        (lose_an_update, "nothing_acknowledged_is_lost"),
        (process_twice, "once"),
        (half_a_purchase, "whole"),
        (out_of_order, "in_order"),
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
        (cry_wolf, "no_false_alarm"),
        (cry_wolf_over_spending, "no_false_alarm"),
        (record_another_amount, "rebuilt"),
        (record_a_refusal_as_applied, "rebuilt"),
        (lose_a_refusal, "rebuilt"),
        (take_a_gift_for_an_amount, "rebuilt"),
    ],
)
def test_each_bad_history_is_named_by_its_checker(spoil: Callable[[History], None], checker: str) -> None:
    """And by no other, so that what is told is what is wrong."""
    history = good()
    spoil(history)
    assert {violation.partition(":")[0] for violation in violations(history)} == {checker}


def test_a_value_that_nothing_made_is_named_by_what_was_answered_and_by_what_was_recorded() -> None:
    """Promises 2 and 9, each from its own source."""
    history = good()
    count_twice(history)
    assert {violation.partition(":")[0] for violation in violations(history)} == {"sums", "rebuilt"}


def test_a_good_history_is_passed_by_all() -> None:
    """Also one in which what was not acknowledged took effect, and one that was repeated elsewhere did nothing; and
    one that was recorded twice, or that tells of a gift.
    """
    assert violations(good()) == []
    twice = good()
    twice.audits["r1"] += twice.audits["r1"]
    gift = Cause(4, RESOLVER, 4, NOW_MS, NOW_MS, [Effect("give", deltas={"r2": 3})])
    twice.audits["r1"] += audits_of([Committed("r1", GOLD, gift)])["r1"]
    assert violations(twice) == []
    unsure = good()
    unsure.unsure.append(unsure.sent.pop(0).update)
    assert violations(unsure) == []
    found = good()
    found.findings.append(stale_finding(GOLD))
    found.late.append(("r1", GOLD))
    assert violations(found) == []


def dead(sequence: int, *ops: tuple[str, str, int]) -> Update:
    """An update that a region had which is gone."""
    made = [Op("ada", key, op, n=n, **({"item": "ore"} if key == "bag" else {})) for key, op, n in ops]
    return Update(made, "dead", sequence, NOW_MS)


def with_a_death() -> History:
    """The good one, with a region r3 that is gone; r2 took over from it when it knew of its first step with gold.

    It earned four, which r2 knew; it spent three, which came late; it bought ore, of which nobody heard; and one more
    was on its stream.
    """
    history = good()
    earned, spent = dead(1, ("gold", "add", 4)), dead(2, ("gold", "subtract", 3))
    bought, unread = dead(3, ("gold", "subtract", 6), ("bag", "add", 1)), dead(4, ("gold", "add", 8))
    history.sent += [Sent("r3", update) for update in (earned, spent, bought, unread)]
    history.committed += [
        Committed("r3", GOLD, done(1, 1, 4)),
        Committed("r3", GOLD, done(2, 2, -3)),
        Committed("r3", GOLD, done(3, 3, -6)),
        Committed("r3", BAG, done(1, 3, 1, item="ore", of=GOLD)),
    ]
    history.gone = [Gone("r3", "r2", {("dead", 4, GOLD)}, reached={GOLD: 2}, known={GOLD: 1})]
    for region, rows in (("r1", {"r1": b"gold", "r3": b"late"}), ("r2", {"r1": b"gold"})):
        history.finals[region][GOLD] = Final(rows, 23, 23, None)
    history.reads += [read("r1:2,r3:2", -3, generation=2)]
    history.spent_last = [("server", 1, GOLD)]
    return history


def done(n: int, sequence: int, delta: int, *, item: str | None = None, of: Key | None = None) -> Cause:
    effect = Effect("add" if delta > 0 else "subtract", delta, item)
    return Cause(n, "dead", sequence, NOW_MS, NOW_MS, [effect], Status.APPLIED, None, of)


def lose_what_was_not_waiting(history: History) -> None:
    history.gone[0].waiting.clear()


def lose_what_another_region_acknowledged(history: History) -> None:
    history.sent.append(Sent("r1", history.sent[-1].update))


def lose_what_was_told(history: History) -> None:
    for finals in history.finals.values():
        finals[GOLD] = finals[GOLD]._replace(view=19, cached=19)


def count_what_was_lost(history: History) -> None:
    for finals in history.finals.values():
        finals[BAG] = finals[BAG]._replace(view={"ore": 2})


def count_what_it_alone_had_recorded(history: History) -> None:
    for finals in history.finals.values():
        finals[GOLD] = finals[GOLD]._replace(view=17, cached=17)


def lose_another_record(history: History) -> None:
    del history.audits["r1"][1]


def spend_more_than_was_unknown(history: History) -> None:
    history.reads.append(read("r1:2,r3:2", -4, generation=3))


def spend_another_item(history: History) -> None:
    history.reads.append(read("r1:3", {"rope": -1}, key=BAG))


def spend_what_the_heir_knew_of(history: History) -> None:
    history.gone[0].known[GOLD] = 2


def spend_without_a_retirement(history: History) -> None:
    history.gone[0].known.clear()


def show_it_in_one_region_only(history: History) -> None:
    history.finals["r2"][GOLD] = history.finals["r2"][GOLD]._replace(view=26, cached=26)


def keep_rights_out_of_reach(history: History) -> None:
    history.spent_last.append(("server", 3, GOLD))


@pytest.mark.parametrize(
    ("spoil", "checkers"),
    [
        (lose_what_was_not_waiting, {"nothing_acknowledged_is_lost"}),
        (lose_what_another_region_acknowledged, {"nothing_acknowledged_is_lost"}),
        (lose_what_was_told, {"sums", "rebuilt"}),
        (count_what_was_lost, {"sums", "rebuilt"}),
        (count_what_it_alone_had_recorded, {"sums", "rebuilt"}),
        (lose_another_record, {"rebuilt"}),
        (spend_more_than_was_unknown, {"never_overspent"}),
        (spend_another_item, {"never_overspent"}),
        (spend_what_the_heir_knew_of, {"never_overspent"}),
        (spend_without_a_retirement, {"never_overspent"}),
        (show_it_in_one_region_only, {"converged", "sums", "rebuilt"}),
        (differ, {"converged"}),
        (forget_a_cause, {"explained"}),
        (keep_rights_out_of_reach, {"rights_come_back"}),
    ],
)
def test_a_death_excuses_what_died_and_nothing_else(spoil: Callable[[History], None], checkers: set[str]) -> None:
    """What the region had told nobody is gone, what its heir did not know of may be missing; all else must hold."""
    assert violations(with_a_death()) == []
    history = with_a_death()
    spoil(history)
    assert {violation.partition(":")[0] for violation in violations(history)} == checkers


def test_without_a_death_there_is_no_excuse() -> None:
    """The same history is wrong in every way if no region has died."""
    history = with_a_death()
    history.gone.clear()
    assert {violation.partition(":")[0] for violation in violations(history)} == {
        "nothing_acknowledged_is_lost",
        "sums",
        "never_overspent",
        "converged",
        "explained",
        "rebuilt",
    }


@pytest.mark.parametrize("make", [good, with_a_death])
def test_checkers_change_nothing(make: Callable[[], History]) -> None:
    """They are functions of the history."""
    history = make()
    before = msgspec.structs.astuple(make())
    assert [list(checker(history)) for checker in CHECKERS] == [[] for _ in CHECKERS]
    assert msgspec.structs.astuple(history) == before
