"""What must come of a load, worked out in plain Python: no data types, no rows, no versions.

One region, and the updates in the order in which they take effect. It knows the starter schema and nothing else of the
product, so that it can disagree with it. Amounts stay below 2^53 here, where JSON and plain integers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from playerstate.core.model import Json, Key, Op, Update
from playerstate.workload.compare import Expected, Trace

APPLIED = "applied"
INSUFFICIENT = "refused:insufficient"

Rule: TypeAlias = Callable[[Json, Op], Json]
"""A key's value before an operation -> its value after it. The value before is not changed."""


class Overspent(Exception):
    """The player has less than is to be taken away."""


class Ledger:
    """Books updates. All of an update's operations take effect, or none."""

    def __init__(self) -> None:
        self._values: dict[Key, Json] = {}
        self._outcomes: Counter[str] = Counter()
        self._traces: dict[Trace, str] = {}

    def book(self, update: Update) -> str:
        """Take an update, whose identity was never booked before; what becomes of it."""
        outcome = APPLIED
        first = update.first_key
        try:
            after = values_after(update, self.value)
        except Overspent:
            outcome = INSUFFICIENT
            after = {first: self.value(first)}  # nothing but the row that remembers the refusal
        self._values |= after
        self._outcomes[outcome] += 1
        identity = update.identity
        for key in after:
            self._traces[Trace(identity, key)] = outcome
        return outcome

    def value(self, key: Key) -> Json:
        """What readers must see of a key now."""
        return self._values[key] if key in self._values else EMPTY[key.state_key]

    def expected(self, *, repeats: int = 0, retried: int = 0) -> Expected:
        """Everything that must be so in the end, if `repeats` updates were sent again on purpose.

        `retried` bounds those that were sent again because a call had failed.
        """
        edges = {key: _targets(value) for key, value in self._values.items() if key.state_key in EDGE_KEYS}
        return Expected(
            dict(self._values), edges, dict(self._outcomes), dict(self._traces), repeats=repeats, retried=retried
        )


def values_after(update: Update, value: Callable[[Key], Json]) -> dict[Key, Json]:
    """What an update makes of its keys' values, which `value` tells. Raises `Overspent`; then none of it happens."""
    after: dict[Key, Json] = {}
    for op in update.ops:
        key = op.key
        before = after[key] if key in after else value(key)
        after[key] = RULES[key.state_key](before, op)
    return after


def _amount(value: Json, op: Op) -> Json:
    n = int(str(op.n))
    after: int = value + n if op.op == "add" else value - n if op.op == "subtract" else n
    if after < 0:
        raise Overspent
    return after


def _total(value: Json, op: Op) -> Json:
    return value + int(str(op.n))


def _items(value: Json, op: Op) -> Json:
    if op.op == "replace" and isinstance(op.items, dict):
        after = {item: int(n) for item, n in op.items.items()}
    else:
        item = str(op.item)
        after = {**value, item: _amount(value.get(item, 0), op)}
    return {item: n for item, n in after.items() if n}


def _latest(_value: Json, op: Op) -> Json:
    return op.value


def _choices(_value: Json, op: Op) -> Json:
    return [op.value]  # one region and no `seen`: every choice has seen the one before


def _largest(value: Json, op: Op) -> Json:
    return op.value if value is None else max(value, op.value)


def _smallest(value: Json, op: Op) -> Json:
    return op.value if value is None else min(value, op.value)


def _switch(_value: Json, op: Op) -> Json:
    return op.op == "enable"


def _members(value: Json, op: Op) -> Json:
    elements = set(op.elements) if isinstance(op.elements, list) else set()
    return sorted(set(value) | elements if op.op == "add" else set(value) - elements)


def _fields(value: Json, op: Op) -> Json:
    others = {field: held for field, held in value.items() if field != op.field}
    return others if op.op == "remove" else {**others, str(op.field): op.value}


def _targets(value: Json) -> list[str]:
    return list(value) if isinstance(value, list) else [value] if value is not None else []


RULES: dict[str, Rule] = {
    "gold": _amount,
    "experience": _total,
    "inventory": _items,
    "rank": _largest,
    "best_time_ms": _smallest,
    "position": _latest,
    "loadout": _latest,
    "status": _latest,
    "title": _choices,
    "settings": _fields,
    "tutorial_done": _switch,
    "friends": _members,
    "guild": _latest,
}
"""What an operation makes of a value, for every key of the starter schema."""

EMPTY: dict[str, Json] = {
    "gold": 0,
    "experience": 0,
    "inventory": {},
    "rank": None,
    "best_time_ms": None,
    "position": None,
    "loadout": None,
    "status": None,
    "title": [],
    "settings": {},
    "tutorial_done": False,
    "friends": [],
    "guild": None,
}
"""What readers see of a key that nobody has written."""

EDGE_KEYS = frozenset({"friends", "guild"})
"""The keys whose values are edges in the graph."""
