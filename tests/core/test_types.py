"""Every data type but the escrowed ones: how its operations are drawn, and its specification. `laws` has the tests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from core.laws import Laws
from core.worlds import REGIONS, Event, History, Tape
from playerstate.core.model import Json, Op, Reason
from playerstate.core.schema import KeySpec, TypeName
from playerstate.core.types import DATA_TYPES, At

NAMES = "pqrs"
VALUES = (None, True, 0, 1, -3, "", "x", [1], {"k": None})
INTEGERS = (0, 1, 2, 5, -1, -4, 2**53, -(2**53), 2**53 + 1, 2**64, -(2**64), 10**38 - 1, "7", str(-(10**37)))


def op(name: str, **arguments: Any) -> Op:
    """An operation on the one key of the world."""
    return Op("player", "key", name, **arguments)


def shown(n: int) -> int | str:
    """An exact integer as readers see it."""
    return n if abs(n) <= 2**53 else str(n)


def standing(history: History) -> list[Event]:
    """What adds, and was not taken away by anyone who had observed it."""
    away = [e for e in history if e.op.op in ("remove", "disable")]
    return [e for e in history if e not in away and not any(gone.observed(e) for gone in away)]


def latest(events: Collection[Event], stamps: dict[Event, int]) -> Event | None:
    """The event with the highest stamp; ties go by region, then step."""
    return max(events, key=lambda e: (stamps[e], e.region, e.n, e.index), default=None)


class TestCounter(Laws):
    spec = KeySpec(type="counter")

    def operation(self, tape: Tape) -> Op:
        return op("add", n=tape.pick(INTEGERS))

    def expected(self, history: History) -> Json:
        return shown(sum(int(e.op.n) for e in history))


class TestRegister(Laws):
    spec = KeySpec(type="register")

    def operation(self, tape: Tape) -> Op:
        return op("set", value=tape.pick(VALUES))

    def expected(self, history: History) -> Json:
        stamps: dict[Event, int] = {}
        for event in history:
            known = [stamp for other, stamp in stamps.items() if event.knew(other)]
            stamps[event] = max([event.time_us, *(stamp + 1 for stamp in known)])
        last = latest(history, stamps)
        return last.op.value if last else None


class TestMultiRegister(Laws):
    spec = KeySpec(type="multi_register", max_entries=3)

    def operation(self, tape: Tape) -> Op:
        return op("set", value=tape.pick(VALUES))

    def expected(self, history: History) -> Json:
        stand = [e for e in history if not any(self._covers(other, e) for other in history)]
        return [e.op.value for e in sorted(stand, key=lambda e: (e.region, e.n))]

    def refusal(self, history: History, event: Event) -> Reason | None:
        return Reason.TOO_MANY_ENTRIES if len(self.expected([*history, event])) > 3 else None

    @staticmethod
    def _covers(later: Event, earlier: Event) -> bool:
        return later.observed(earlier) or (later.knew(earlier) and later.same_step(earlier))


class TestMaxRegister(Laws):
    spec = KeySpec(type="max_register")

    def operation(self, tape: Tape) -> Op:
        return op("set", value=tape.pick(INTEGERS))

    def expected(self, history: History) -> Json:
        return shown(max(int(e.op.value) for e in history)) if history else None


class TestMinRegister(Laws):
    spec = KeySpec(type="min_register")

    def operation(self, tape: Tape) -> Op:
        return op("set", value=tape.pick(INTEGERS))

    def expected(self, history: History) -> Json:
        return shown(min(int(e.op.value) for e in history)) if history else None


class TestFlag(Laws):
    spec = KeySpec(type="flag")

    def operation(self, tape: Tape) -> Op:
        return op(tape.pick(["enable", "disable"]))

    def expected(self, history: History) -> Json:
        return bool(standing(history))


class TestSet(Laws):
    spec = KeySpec(type="set", max_entries=4)

    def operation(self, tape: Tape) -> Op:
        elements = [tape.pick("pqrstu") for _ in range(1 + tape.number(3))]
        return op(tape.pick(["add", "add", "remove"]), elements=elements)

    def expected(self, history: History) -> Json:
        names = {name for e in history for name in e.op.elements}
        return sorted(name for name in names if standing([e for e in history if name in e.op.elements]))

    def refusal(self, history: History, event: Event) -> Reason | None:
        too_many = event.op.op == "add" and len(self.expected([*history, event])) > 4
        return Reason.TOO_MANY_ENTRIES if too_many else None


class TestMap(Laws):
    spec = KeySpec(type="map", max_entries=3)

    def operation(self, tape: Tape) -> Op:
        if tape.number(3) == 2:
            return op("remove", field=tape.pick(NAMES))
        return op("set", field=tape.pick(NAMES), value=tape.pick(VALUES))

    def expected(self, history: History) -> Json:
        fields = sorted({e.op.field for e in history})
        chosen = {field: self._latest([e for e in history if e.op.field == field]) for field in fields}
        return {field: event.op.value for field, event in chosen.items() if event}

    def refusal(self, history: History, event: Event) -> Reason | None:
        before = self.expected(history)
        new = event.op.op == "set" and event.op.field not in before
        return Reason.TOO_MANY_ENTRIES if new and len(before) >= 3 else None

    @staticmethod
    def _latest(history: History) -> Event | None:
        stamps: dict[Event, int] = {}
        for event in history:
            known = standing([other for other in history if event.knew(other)])
            stamps[event] = max([event.time_us, *(stamps[other] + 1 for other in known)])
        return latest(standing(history), stamps)


@pytest.mark.parametrize(
    ("type_name", "write"),
    [
        ("register", op("set", value="x")),
        ("multi_register", op("set", value="x")),
        ("flag", op("enable")),
        ("set", op("add", elements=["x"])),
        ("map", op("set", field="x", value=1)),
    ],
)
def test_a_write_that_has_seen_all_leaves_nothing_else_behind(type_name: TypeName, write: Op) -> None:
    """Regions that write the same by turns keep one entry, not one each."""
    data_type, spec = DATA_TYPES[type_name], KeySpec(type=type_name)
    state = data_type.empty()
    for n, region in enumerate(REGIONS * 3):
        state, _ = data_type.apply(state, write, At(region, n // 3 + 1, 0), spec)
        assert list(state) == [region]
        assert len(state[region]) == 1


def test_an_element_that_is_named_twice_is_added_and_removed_once() -> None:
    """In one operation, whether it was there or not."""
    data_type, spec = DATA_TYPES["set"], KeySpec(type="set")
    twice = op("add", elements=["x", "x"])
    state, effect = data_type.apply({"a": {"x": 1}}, twice, At("a", 2, 0), spec)
    assert (state, effect.elements) == ({"a": {"x": 2}}, ["x"])
    state, _ = data_type.apply(state, op("remove", elements=["x", "x"]), At("b", 1, 0), spec)
    assert state == {}


def test_effects_tell_what_was_there_already() -> None:
    """An element that is added again, or removed where it is not, or not seen, is named as idle; so is a flag."""
    data_type, spec = DATA_TYPES["set"], KeySpec(type="set")
    state, effect = data_type.apply({"b": {"x": 1}}, op("add", elements=["x", "y"]), At("a", 1, 0), spec)
    assert (effect.elements, effect.idle) == (["x", "y"], ["x"])
    unseen = At("a", 2, 0, seen={"b": 1})
    state, effect = data_type.apply(state, op("remove", elements=["y", "z"]), unseen, spec)
    assert (effect.elements, effect.idle, data_type.value(state, spec)) == (["y", "z"], ["y", "z"], ["x", "y"])
    state, effect = data_type.apply(state, op("remove", elements=["y"]), At("a", 3, 0), spec)
    assert effect.idle == []
    flag, spec = DATA_TYPES["flag"], KeySpec(type="flag")
    state, first = flag.apply({}, op("enable"), At("a", 1, 0), spec)
    state, again = flag.apply(state, op("enable"), At("a", 2, 0), spec)
    state, unseen_one = flag.apply(state, op("disable"), At("a", 3, 0, seen={"a": 1}), spec)
    state, off = flag.apply(state, op("disable"), At("a", 4, 0), spec)
    assert [first.idle, again.idle, unseen_one.idle, off.idle] == [[], [""], [""], []]
