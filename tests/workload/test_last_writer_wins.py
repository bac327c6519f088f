"""The model of last-writer-wins, on traffic written by hand: it loses exactly what it should."""

from __future__ import annotations

from typing import Any

import pytest

from playerstate.core.model import Identity, Key, Op, Update
from playerstate.runtime.replication import LinkSettings
from playerstate.workload.last_writer_wins import LastWriterWins
from playerstate.workload.ledger import APPLIED, INSUFFICIENT
from playerstate.workload.lost_updates import Fate, count_losses, fate_of
from playerstate.workload.tape import Turned

LAG = LinkSettings(lag_ms=1000)
GOLD, ITEMS, FRIENDS, STATUS = (Key("ada", name) for name in ("gold", "inventory", "friends", "status"))


class Table:
    """A table of three regions whose items take a second to travel; times are seconds."""

    def __init__(self) -> None:
        self.model = LastWriterWins(["a", "b", "c"])
        self.sent = 0
        for one, two in ("ab", "ba", "ac", "ca", "bc", "cb"):
            self.model.turn(Turned(0.0, one, two, LAG))

    def at(self, at_s: float, region: str, *ops: Op) -> Identity:
        """Send an update."""
        self.sent += 1
        update = Update(list(ops), "server", self.sent)
        self.model.send(at_s, region, update)
        return Identity("server", self.sent, *update.first_key)

    def cut(self, at_s: float, one: str, two: str, *, cut: bool = True) -> None:
        """Cut or heal the way between two regions."""
        for source, target in ((one, two), (two, one)):
            self.model.turn(Turned(at_s, source, target, LinkSettings(1000, cut=cut)))

    def fate(self, identity: Identity, key: Key) -> Fate:
        """What became of an update."""
        return fate_of(self.model, "a", identity, key)


def op(state_key: str, name: str, **arguments: Any) -> Op:
    return Op("ada", state_key, name, **arguments)


def earn(n: int) -> Op:
    return op("gold", "add", n=n)


def pay(n: int) -> Op:
    return op("gold", "subtract", n=n)


@pytest.fixture
def table() -> Table:
    return Table()


def test_what_one_region_writes_is_kept(table: Table) -> None:
    """Where nobody else writes, every value descends from all that was written before."""
    sent = [table.at(n / 10, "a", earn(n)) for n in range(1, 6)]
    table.model.converge()
    assert [table.model.value(region, GOLD) for region in "abc"] == [15, 15, 15]
    assert {table.fate(one, GOLD) for one in sent} == {Fate.KEPT}
    assert count_losses(table.model, "a").lost == 0


def test_of_two_concurrent_writes_the_earlier_is_lost(table: Table) -> None:
    """The later item wins whole, in every region, and what was earned in the other is gone."""
    early, late = table.at(0.1, "b", earn(5)), table.at(0.2, "a", earn(3))
    table.model.converge()
    assert [table.model.value(region, GOLD) for region in "abc"] == [3, 3, 3]
    assert (table.fate(early, GOLD), table.fate(late, GOLD)) == (Fate.LOST, Fate.KEPT)
    losses = count_losses(table.model, "a")
    assert (losses.applied, losses.lost, losses.gold_gone, losses.gold_spent_twice) == (2, 1, 5, 0)


def test_a_write_that_has_seen_the_other_loses_nothing(table: Table) -> None:
    """Once an item has arrived, the next value descends from it."""
    table.at(0.1, "b", earn(5))
    table.at(1.0, "c", op("experience", "add", n=1))
    table.at(1.2, "a", earn(3))
    table.model.converge()
    assert table.model.value("c", GOLD) == 8
    assert count_losses(table.model, "a").lost == 0


def test_of_one_moment_the_region_whose_name_is_last_wins(table: Table) -> None:
    """Ties are settled the same way everywhere."""
    first, last = table.at(0.1, "b", earn(5)), table.at(0.1, "c", earn(3))
    table.model.converge()
    assert [table.model.value(region, GOLD) for region in "abc"] == [3, 3, 3]
    assert (table.fate(first, GOLD), table.fate(last, GOLD)) == (Fate.LOST, Fate.KEPT)


def test_all_of_the_earlier_side_of_a_partition_is_lost(table: Table) -> None:
    """Nothing passes a way that is cut, and what was under way waits; on healing one side's item wins."""
    table.at(0.0, "b", earn(100))
    table.cut(0.5, "a", "b")
    table.cut(0.5, "c", "b")
    mine = [table.at(t, "b", earn(10)) for t in (2.0, 3.0, 4.0)]
    assert table.model.value("a", GOLD) == 0
    theirs = table.at(5.0, "a", earn(1))
    table.cut(6.0, "a", "b", cut=False)
    table.cut(6.0, "c", "b", cut=False)
    table.model.converge()
    assert [table.model.value(region, GOLD) for region in "abc"] == [1, 1, 1]
    assert [table.fate(one, GOLD) for one in (*mine, theirs)] == [Fate.LOST] * 3 + [Fate.KEPT]
    assert count_losses(table.model, "a").gold_gone == 130


def test_gold_that_is_spent_in_two_regions_bought_something_twice(table: Table) -> None:
    """Both regions see 100, both sell for 100: 100 was spent that nobody had."""
    table.at(0.0, "a", earn(100))
    table.at(2.0, "a", pay(100), op("inventory", "add", item="ship", n=1))
    table.at(2.1, "b", pay(100), Op("bob", "inventory", "add", item="ship", n=1))
    assert table.model.outcomes == {APPLIED: 3}
    table.model.converge()
    losses = count_losses(table.model, "a")
    assert (losses.lost, losses.gold_gone, losses.gold_spent_twice) == (1, 0, 100)


def test_half_a_purchase_is_torn(table: Table) -> None:
    """An update is lost if one of its keys has lost it, whatever the others have."""
    table.at(0.0, "a", earn(100))
    bought = table.at(2.0, "a", pay(30), op("inventory", "add", item="sword", n=1))
    table.at(2.1, "b", earn(1))
    table.model.converge()
    assert (table.fate(bought, GOLD), table.fate(bought, ITEMS)) == (Fate.LOST, Fate.KEPT)
    losses = count_losses(table.model, "c")
    assert (losses.lost, losses.torn, losses.gold_spent_twice) == (1, 1, 30)
    assert losses.examples == ["2 of server: ada/gold"]


def test_what_is_refused_changes_nothing(table: Table) -> None:
    """All or none, by what the region has."""
    table.at(0.0, "a", op("inventory", "add", item="sword", n=1), pay(1))
    assert table.model.outcomes == {INSUFFICIENT: 1}
    assert table.model.written() == []


def test_a_register_that_both_set_is_overwritten_not_lost(table: Table) -> None:
    """One of two has to give way under any rules; but not to one that had seen it, and not to another key's."""
    one = table.at(0.1, "a", op("status", "set", value="online"))
    two = table.at(0.2, "b", op("status", "set", value="away"))
    table.model.converge()
    assert (table.fate(one, STATUS), table.fate(two, STATUS)) == (Fate.OVERWRITTEN, Fate.KEPT)
    losses = count_losses(table.model, "a")
    assert (losses.lost, losses.overwritten) == (0, 1)


@pytest.mark.parametrize(
    ("key", "one", "two", "fate"),
    [
        ("friends", op("friends", "add", elements=["x"]), op("friends", "add", elements=["y"]), Fate.LOST),
        ("friends", op("friends", "add", elements=["x"]), op("friends", "add", elements=["x"]), Fate.KEPT),
        ("friends", op("friends", "add", elements=["x"]), op("friends", "remove", elements=["x"]), Fate.OVERWRITTEN),
        ("settings", op("settings", "set", field="f", value=1), op("settings", "set", field="g", value=1), Fate.LOST),
        (
            "settings",
            op("settings", "set", field="f", value=1),
            op("settings", "set", field="f", value=2),
            Fate.OVERWRITTEN,
        ),
        ("rank", op("rank", "set", value=7), op("rank", "set", value=5), Fate.LOST),
        ("rank", op("rank", "set", value=5), op("rank", "set", value=7), Fate.KEPT),
        ("title", op("title", "set", value="Smith"), op("title", "set", value="Trader"), Fate.LOST),
        ("tutorial_done", op("tutorial_done", "enable"), op("tutorial_done", "disable"), Fate.OVERWRITTEN),
    ],
)
def test_what_becomes_of_the_earlier_of_two(table: Table, key: str, one: Op, two: Op, fate: Fate) -> None:
    """By what the operations mean: a whole item goes, but not all that was in it is lost by that."""
    early = table.at(0.1, "a", one)
    table.at(0.2, "b", two)
    table.model.converge()
    assert table.fate(early, Key("ada", key)) is fate
