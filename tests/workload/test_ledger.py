"""The ledger: plain rules, each against what the words say, not against the product's types."""

from __future__ import annotations

from typing import Any

import pytest

from playerstate.core.model import Identity, Key, Op, Update
from playerstate.core.schema import parse_schema
from playerstate.folder import starter_schema
from playerstate.workload.compare import Trace
from playerstate.workload.ledger import EMPTY, RULES, Ledger

GOLD, SWORDS = Key("ada", "gold"), Key("ada", "inventory")


class Sent:
    """Books operations of one producer, one update a call."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.sequence = 0

    def __call__(self, *ops: Op) -> str:
        self.sequence += 1
        return self.ledger.book(Update(list(ops), "server", self.sequence))


def op(state_key: str, name: str, **arguments: Any) -> Op:
    return Op("ada", state_key, name, **arguments)


def test_every_key_of_the_starter_schema_has_a_rule() -> None:
    """A key that the starter schema gets and the ledger does not know would make the demo fail at once."""
    keys = parse_schema(starter_schema()).keys
    assert keys.keys() == RULES.keys() == EMPTY.keys()


@pytest.mark.parametrize(
    ("state_key", "ops", "value"),
    [
        ("gold", [("add", {"n": 7}), ("subtract", {"n": 3})], 4),
        ("gold", [("add", {"n": 7}), ("set", {"n": 2})], 2),
        ("experience", [("add", {"n": 7}), ("add", {"n": -9})], -2),
        ("inventory", [("add", {"item": "bow", "n": 2}), ("subtract", {"item": "bow", "n": 2})], {}),
        ("inventory", [("add", {"item": "bow", "n": 2}), ("set", {"item": "axe", "n": 1})], {"axe": 1, "bow": 2}),
        ("inventory", [("add", {"item": "bow", "n": 2}), ("replace", {"items": {"axe": 3, "map": 0}})], {"axe": 3}),
        ("rank", [("set", {"value": 9}), ("set", {"value": 4})], 9),
        ("best_time_ms", [("set", {"value": 9}), ("set", {"value": 4})], 4),
        ("status", [("set", {"value": "online"}), ("set", {"value": "away"})], "away"),
        ("title", [("set", {"value": "Smith"}), ("set", {"value": "Trader"})], ["Trader"]),
        ("settings", [("set", {"field": "a", "value": 1}), ("set", {"field": "b", "value": 2})], {"a": 1, "b": 2}),
        ("settings", [("set", {"field": "a", "value": 1}), ("remove", {"field": "a"})], {}),
        ("tutorial_done", [("enable", {}), ("disable", {})], False),
        ("friends", [("add", {"elements": ["cy", "bo"]}), ("remove", {"elements": ["cy", "di"]})], ["bo"]),
        ("guild", [("set", {"value": "owls"}), ("set", {"value": None})], None),
    ],
)
def test_values(state_key: str, ops: list[tuple[str, dict[str, Any]]], value: object) -> None:
    """Each operation does to its key what its name says."""
    sent = Sent()
    for name, arguments in ops:
        assert sent(op(state_key, name, **arguments)) == "applied"
    assert sent.ledger.value(Key("ada", state_key)) == value


def test_an_overspending_update_changes_nothing_at_all() -> None:
    """One operation that cannot be paid for refuses the update's others too, also those before it."""
    sent = Sent()
    sent(op("gold", "add", n=5))
    buying = [op("inventory", "add", item="crown", n=1), op("gold", "subtract", n=6)]
    assert sent(*buying) == "refused:insufficient"
    assert sent.ledger.value(GOLD) == 5
    assert sent.ledger.value(SWORDS) == {}


def test_operations_of_one_update_see_those_before_them() -> None:
    """What an update brings in, it may spend."""
    sent = Sent()
    assert sent(op("gold", "add", n=5), op("gold", "subtract", n=5)) == "applied"
    assert sent.ledger.value(GOLD) == 0


def test_traces_and_edges() -> None:
    """An applied update leaves its mark at every key, a refused one at its first; edges follow sets and registers."""
    sent = Sent()
    both = [op("friends", "add", elements=["bo"]), Op("bo", "friends", "add", elements=["ada"])]
    sent(*both)
    sent(op("gold", "subtract", n=1), op("inventory", "add", item="bow", n=1))
    sent(op("guild", "set", value="owls"))
    expected = sent.ledger.expected(repeats=2)
    friendship = Identity("server", 1, "ada", "friends")
    assert expected.traces == {
        Trace(friendship, Key("ada", "friends")): "applied",
        Trace(friendship, Key("bo", "friends")): "applied",
        Trace(Identity("server", 2, "ada", "gold"), GOLD): "refused:insufficient",
        Trace(Identity("server", 3, "ada", "guild"), Key("ada", "guild")): "applied",
    }
    assert expected.edges == {
        Key("ada", "friends"): ["bo"],
        Key("bo", "friends"): ["ada"],
        Key("ada", "guild"): ["owls"],
    }
    assert expected.outcomes == {"applied": 2, "refused:insufficient": 1}
    assert expected.values[GOLD] == 0
    assert SWORDS not in expected.values
    assert expected.repeats == 2
