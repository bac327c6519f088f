"""Every data type: its generator of operations and its specification. `laws` has the tests; escrow has some of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.laws import REGIONS, Event, History, Laws
from hypothesis import strategies as st

from playerstate.core.model import Json, Op, Reason
from playerstate.core.schema import KeySpec

NAMES = st.sampled_from("pqrs")
VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", [1], {"k": None}])
AMOUNTS = st.integers(0, 9) | st.sampled_from([2**53, 2**53 + 1, 2**64, 10**38 - 1, "7", str(10**37)])
INTEGERS = AMOUNTS | st.integers(-9, -1) | st.sampled_from([-(2**64), str(-(10**37))])


def op(name: str, **arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Op]:
    """An operation with drawn arguments."""
    return st.builds(Op, st.just("player"), st.just("key"), st.just(name), **arguments)


def shown(n: int) -> int | str:
    """An exact integer as readers see it."""
    return n if abs(n) <= 2**53 else str(n)


def standing(history: History, adds: Iterable[str], removes: Iterable[str]) -> list[Event]:
    """The events named in `adds` that nobody removed who had observed them."""
    removals = [e for e in history if e.op.op in removes]
    return [e for e in history if e.op.op in adds and not any(r.observed(e) for r in removals)]


def stamps(history: History) -> dict[Event, int]:
    """Every event's stamp: its time, or just beyond every stamp that it knew."""
    found: dict[Event, int] = {}
    for event in history:
        known = [stamp for other, stamp in found.items() if event.knew(other)]
        found[event] = max([event.time_us, *(stamp + 1 for stamp in known)])
    return found


class TestCounter(Laws):
    spec = KeySpec(type="counter")
    operations = op("add", n=INTEGERS)

    def expected(self, history: History) -> Json:
        return shown(sum(int(e.op.n) for e in history))


class TestRegister(Laws):
    spec = KeySpec(type="register")
    operations = op("set", value=VALUES)

    def expected(self, history: History) -> Json:
        stamp = stamps(history)
        last = max(history, key=lambda e: (stamp[e], e.region, e.n, e.index), default=None)
        return last.op.value if last else None


class TestMultiRegister(Laws):
    spec = KeySpec(type="multi_register", max_entries=3)
    operations = op("set", value=VALUES)

    def expected(self, history: History) -> Json:
        stand = [e for e in history if not any(self._covers(other, e) for other in history)]
        return [e.op.value for e in sorted(stand, key=lambda e: (e.region, e.n))]

    def refusal(self, history: History, event: Event) -> Reason | None:
        return Reason.TOO_MANY_ENTRIES if len(self.expected([*history, event])) > 3 else None

    @staticmethod
    def _covers(later: Event, earlier: Event) -> bool:
        same_step = (later.region, later.n) == (earlier.region, earlier.n)
        return later.knew(earlier) and (same_step or later.observed(earlier))


class TestMaxRegister(Laws):
    spec = KeySpec(type="max_register")
    operations = op("set", value=INTEGERS)

    def expected(self, history: History) -> Json:
        return shown(max(int(e.op.value) for e in history)) if history else None


class TestMinRegister(Laws):
    spec = KeySpec(type="min_register")
    operations = op("set", value=INTEGERS)

    def expected(self, history: History) -> Json:
        return shown(min(int(e.op.value) for e in history)) if history else None


class TestFlag(Laws):
    spec = KeySpec(type="flag")
    operations = op("enable") | op("disable")

    def expected(self, history: History) -> Json:
        return bool(standing(history, ["enable"], ["disable"]))


class TestSet(Laws):
    spec = KeySpec(type="set", max_entries=4)
    elements = st.lists(st.sampled_from("pqrstu"), min_size=1, max_size=3)
    operations = op("add", elements=elements) | op("remove", elements=elements)

    def expected(self, history: History) -> Json:
        names = {name for e in history for name in e.op.elements}
        return sorted(name for name in names if standing(self._about(history, name), ["add"], ["remove"]))

    def refusal(self, history: History, event: Event) -> Reason | None:
        too_many = event.op.op == "add" and len(self.expected([*history, event])) > 4
        return Reason.TOO_MANY_ENTRIES if too_many else None

    @staticmethod
    def _about(history: History, name: str) -> list[Event]:
        return [e for e in history if name in e.op.elements]


class TestMap(Laws):
    spec = KeySpec(type="map", max_entries=3)
    operations = op("set", field=NAMES, value=VALUES) | op("remove", field=NAMES)

    def expected(self, history: History) -> Json:
        fields = sorted({e.op.field for e in history})
        values = {field: self._field([e for e in history if e.op.field == field]) for field in fields}
        return {field: entry[0] for field, entry in values.items() if entry}

    def refusal(self, history: History, event: Event) -> Reason | None:
        before = self.expected(history)
        new = event.op.op == "set" and event.op.field not in before
        return Reason.TOO_MANY_ENTRIES if new and len(before) >= 3 else None

    @staticmethod
    def _field(history: History) -> list[Json]:
        """The field's value, in a list; an empty one if the field is absent."""
        stamp: dict[Event, int] = {}
        for event in history:
            known = [other for other in history if event.knew(other)]
            stands = standing(known, ["set"], ["remove"])
            stamp[event] = max([event.time_us, *(stamp[other] + 1 for other in stands)])
        stands = standing(history, ["set"], ["remove"])
        last = max(stands, key=lambda e: (stamp[e], e.region, e.n, e.index), default=None)
        return [last.op.value] if last else []
