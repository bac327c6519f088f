"""`bounded_counter` and `inventory`: the laws, with rights that move between regions as steps of their own.

After every command, in every row: nothing is below its minimum, no region holds less than no rights, all rights
together are what lies above the minimum, and a refusal is `insufficient` or `rights_elsewhere` as the rights stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from core.laws import Laws, given_schedule
from core.test_types import op, shown
from core.worlds import REGIONS, Event, History, Step, Tape, World

from playerstate.core.model import Json, Op, Reason
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec
from playerstate.core.types import At, escrow

AMOUNTS = (1, 0, 2, 3, 5, 9, 2**64, "4")
THE_NUMBER = ""


class Ledger:
    """The specification: what every event came to, and what every region may take away."""

    def __init__(self, history: History, spec: KeySpec) -> None:
        self.history = history
        self._start = spec.start - spec.minimum
        self._home = spec.home
        self._deltas: dict[Event, dict[str, int]] = {}
        self._gifts: dict[Event, int] = {}
        for event in history:
            known = [other for other in self._deltas if event.knew(other)]
            self._gifts[event] = self._gift(event, known)
            self._deltas[event] = self.deltas(event, known)

    def above(self, item: str, known: Iterable[Event] | None = None) -> int:
        """How much of an item lies above the minimum."""
        events = self.history if known is None else known
        return self._start + sum(self._deltas[e].get(item, 0) for e in events)

    def items(self, known: Iterable[Event] | None = None) -> set[str]:
        """What was ever named."""
        events = self.history if known is None else known
        return {item for e in events for item in self._deltas[e]}

    def rights(self, region: str, item: str, known: Iterable[Event] | None = None) -> int:
        """How much of an item a region may take away."""
        held = self._start if region == self._home else 0
        for e in self.history if known is None else known:
            if e.region == region:
                held += self._deltas[e].get(item, 0)
            if (e.op.item or THE_NUMBER) == item and e.op.op == "give":
                held += self._gifts[e] * ((e.op.field == region) - (e.region == region))
        return held

    def deltas(self, event: Event, known: list[Event]) -> dict[str, int]:
        """Item -> what an event would add to it."""
        name, item = event.op.op, event.op.item or THE_NUMBER
        if name == "replace":
            target = {item: int(n) for item, n in event.op.items.items()}
            return {i: target.get(i, 0) - self.above(i, known) for i in self.items(known) | target.keys()}
        if name == "give":
            return {}
        n = int(event.op.n)
        return {item: {"add": n, "subtract": -n, "set": n - self.above(item, known)}[name]}

    def refusal(self, event: Event) -> Reason | None:
        """Why an event that knows all of the history cannot follow it."""
        deltas = self.deltas(event, list(self.history))
        lacking = [item for item, n in deltas.items() if self.rights(event.region, item) + min(n, 0) < 0]
        if any(self.above(item) + deltas[item] < 0 for item in lacking):
            return Reason.INSUFFICIENT
        return Reason.RIGHTS_ELSEWHERE if lacking else None

    def _gift(self, event: Event, known: list[Event]) -> int:
        if event.op.op != "give":
            return 0
        return max(0, min(int(event.op.n), self.rights(event.region, event.op.item or THE_NUMBER, known)))


class EscrowLaws(Laws):
    """The laws of types whose rights can be given away."""

    def accounts(self, row: Row[Any]) -> dict[str, dict[str, escrow.Packed]]:
        """Item -> region -> account."""
        raise NotImplementedError

    def starting(self) -> dict[str, int]:
        """What regions held before anybody wrote."""
        above = self.spec.start - self.spec.minimum
        return {self.spec.home: above} if self.spec.home else {}

    def check(self, world: World, row: Row[Any]) -> None:
        super().check(world, row)
        ledger = Ledger(world.history(row), self.spec)
        for item, accounts in self.accounts(row).items():
            rights = {region: escrow.rights(accounts, region, self.starting()) for region in REGIONS}
            assert rights == {region: ledger.rights(region, item) for region in REGIONS}
            assert min(rights.values()) >= 0
            assert sum(rights.values()) == ledger.above(item) >= 0

    @given_schedule
    def test_what_is_wanted_suffices_once_given(self, commands: int, tape: Tape) -> None:
        """After `rights_elsewhere` the holders give what is wanted and not yet given; the second try succeeds."""
        world = self.world("wanted", commands, tape)
        world.settle()
        region, asked = tape.pick(REGIONS), self.operation(tape)
        ledger = Ledger(world.history(world.rows[region]), self.spec)
        second_try = Event(region, 0, 0, 0, asked, 0, None, world.rows[region].vector)
        if asked.op == "give" or ledger.refusal(second_try) is not Reason.RIGHTS_ELSEWHERE:
            return
        world.do(Step(region, [asked], 0, None))
        for giver in REGIONS:
            world.settle()
            for item, accounts in self.accounts(world.rows[giver]).items():
                wanted = outstanding(accounts, region)
                assert wanted <= max(2**64 + 100, ledger.above(item))
                if giver != region and wanted > 0:
                    world.do(Step(giver, [self.gift(item, region, wanted)], 0, None))
        world.settle()
        world.do(Step(region, [asked], 0, None))
        assert world.log[-1].op is asked

    def gift(self, item: str, taker: str, n: int) -> Op:
        """The giving of rights, as an operation of the world's."""
        return op("give", field=taker, n=n, **({"item": item} if item else {}))


class BoundedCounterLaws(EscrowLaws):
    """A bounded counter's operations and specification."""

    def operation(self, tape: Tape) -> Op:
        name = tape.pick(["add", "subtract", "subtract", "give", "set"])
        if name == "give":
            return self.gift("", tape.pick(REGIONS), tape.number(9))
        n = tape.pick(AMOUNTS)
        return op(name, n=self.spec.minimum + int(n) if name == "set" else n)

    def expected(self, history: History) -> Json:
        return shown(Ledger(history, self.spec).above(THE_NUMBER) + self.spec.minimum)

    def refusal(self, history: History, event: Event) -> Reason | None:
        if event.op.op == "set":
            target = int(event.op.n) - self.spec.minimum
            event = _with_op(event, op("set", n=target))
        return Ledger(history, self.spec).refusal(event)

    def accounts(self, row: Row[Any]) -> dict[str, dict[str, escrow.Packed]]:
        return {THE_NUMBER: row.state}
