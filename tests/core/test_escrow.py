"""`bounded_counter` and `inventory`: the laws, with rights that move between regions as steps of their own.

After every command, in every row: nothing is below its minimum, no region holds less than no rights, all rights
together are what lies above the minimum, and a refusal is `insufficient` or `rights_elsewhere` as the rights stand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.laws import Laws, given_schedule
from core.test_types import op, shown
from core.worlds import REGIONS, Event, History, Step, Tape, World, canonical
from playerstate.core.model import Json, Op, Reason
from playerstate.core.retirement import overspent
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec
from playerstate.core.types import At, Refused, escrow
from playerstate.core.wire import RowReader, encode_row

AMOUNTS = (1, 0, 2, 3, 5, 9, 2**64, "4")
THE_NUMBER = ""


class Ledger:
    """The specification: what every event came to, and what every region may take away."""

    def __init__(self, history: History, spec: KeySpec) -> None:
        self.history = history
        self._start = spec.start - spec.minimum
        self._minimum = spec.minimum
        self._home = spec.home
        self._deltas: dict[Event, dict[str, int]] = {}
        self._gifts: dict[Event, int] = {}
        self._taken: dict[Event, dict[str, int]] = {}
        for event in history:
            known = [other for other in self._deltas if event.knew(other)]
            self._gifts[event] = self._gift(event, known)
            self._taken[event] = self._taking(event, known)
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
            held += self._taken[e].get(item, 0) * ((e.region == region) - (e.op.field == region))
        return held

    def spent_or_given(self, region: str, item: str, after: int) -> int:
        """How much of an item a region took away or gave in its steps beyond a number."""
        events = [e for e in self.history if e.region == region and e.n > after]
        gifts = [self._gifts[e] for e in events if (e.op.item or THE_NUMBER) == item]
        return sum(gifts) + sum(max(0, -self._deltas[e].get(item, 0)) for e in events)

    def deltas(self, event: Event, known: list[Event]) -> dict[str, int]:
        """Item -> what an event would add to it."""
        name, item = event.op.op, event.op.item or THE_NUMBER
        if name == "replace":
            target = {item: int(n) for item, n in event.op.items.items()}
            return {i: target.get(i, 0) - self.above(i, known) for i in self.items(known) | target.keys()}
        if name in ("give", "take_over"):
            return {}
        n = int(event.op.n)
        return {item: {"add": n, "subtract": -n, "set": n - self._minimum - self.above(item, known)}[name]}

    def refusal(self, event: Event) -> Reason | None:
        """Why an event that knows all of the history cannot follow it."""
        deltas = self.deltas(event, list(self.history))
        if any(n < 0 and self.above(item) + n < 0 for item, n in deltas.items()):
            return Reason.INSUFFICIENT
        return Reason.RIGHTS_ELSEWHERE if self.lacking(event) else None

    def lacking(self, event: Event) -> dict[str, int]:
        """Item -> how much more of it the region would have to hold."""
        deltas = self.deltas(event, list(self.history))
        missing = {i: -n - self.rights(event.region, i) for i, n in deltas.items() if n < 0}
        return {item: n for item, n in missing.items() if n > 0}

    def _gift(self, event: Event, known: list[Event]) -> int:
        if event.op.op != "give":
            return 0
        return max(0, min(int(event.op.n), self.rights(event.region, event.op.item or THE_NUMBER, known)))

    def _taking(self, event: Event, known: list[Event]) -> dict[str, int]:
        if event.op.op != "take_over":
            return {}
        held = {item: self.rights(event.op.field, item, known) for item in {*self.items(known), *self._starting()}}
        return {item: n for item, n in held.items() if n > 0}

    def _starting(self) -> set[str]:
        return {THE_NUMBER} if self._start else set()


class EscrowLaws(Laws):
    """The laws of types whose rights can be given away."""

    starting: ClassVar[dict[str, int]] = {}
    """What regions hold before anybody wrote."""

    @abstractmethod
    def accounts(self, row: Row[Any]) -> dict[str, dict[str, escrow.Packed]]:
        """Item -> region -> account."""

    @abstractmethod
    def give(self, state: Any, giver: str, gift: Op) -> Any:
        """The state after the giving of rights."""

    def apply(self, state: Any, op: Op, at: At) -> Any:
        if op.op == "take_over":
            return self.data_type.take_over(state, at.region, op.field, self.spec)[0]
        return self.give(state, at.region, op) if op.op == "give" else super().apply(state, op, at)

    def expected(self, history: History) -> Json:
        ledger = Ledger(history, self.spec)
        return {item: shown(n) for item in sorted(ledger.items()) if (n := ledger.above(item))}

    def refusal(self, history: History, event: Event) -> Reason | None:
        return Ledger(history, self.spec).refusal(event)

    def check(self, world: World, row: Row[Any]) -> None:
        super().check(world, row)
        for rights in self._checked_rights(world, row).values():
            assert min(rights.values()) >= 0
        assert overspent(row.state, self.spec) == {}
        everywhere = Ledger(world.history(world.join(list(world.rows.values()))), self.spec)
        assert all(everywhere.above(item) >= 0 for item in everywhere.items())

    @given_schedule
    def test_what_is_wanted_suffices_once_given(self, commands: int, tape: Tape) -> None:
        """After `rights_elsewhere` the holders give what is wanted and not yet given; then it is not refused so."""
        world = self.world("wanted", commands, tape)
        world.settle()
        region, asked = tape.pick(REGIONS), self.operation(tape)
        ask = Step(region, [asked], 0, None)
        before = self.accounts(world.rows[region])
        ledger = self._ledger(world, region)
        lacking = ledger.lacking(self._event(world, ask))
        if asked.op == "give" or self._refusal(world, ask) is not Reason.RIGHTS_ELSEWHERE:
            return
        world.do(ask)
        for item, accounts in self.accounts(world.rows[region]).items():
            wanted = outstanding(before.get(item, {}), region)
            if item in lacking and ledger.rights(region, item) + wanted > ledger.above(item):
                wanted = 0  # it cannot be met any more, and gives way
            assert outstanding(accounts, region) == max(wanted, lacking.get(item, 0))
        for giver in REGIONS:
            world.settle()
            for item, accounts in self.accounts(world.rows[giver]).items():
                gift = op("give", field=region, n=outstanding(accounts, region), item=item)
                world.do(Step(giver, [gift] if giver != region else [], 0, None))
        world.settle()
        assert self._refusal(world, ask) in (None, Reason.TOO_MANY_ENTRIES)
        world.do(ask)

    @given_schedule
    def test_a_region_that_is_gone_leaves_its_rights_to_its_heir(self, commands: int, tape: Tape) -> None:
        """Nobody else's are touched; below the minimum is only what it had spent or given and its heir did not know of.

        The others go on, give to it, hear of its rows late or not at all, and its heir takes over again and again.
        """
        world = self.world("retired", commands, tape)
        gone, heir = tape.pick(REGIONS), tape.pick(REGIONS)
        living = [region for region in REGIONS if region != gone]
        heir = living[0] if heir == gone else heir
        if tape.number(2):
            world.rows[heir] = world.join([world.rows[heir], world.rows[gone]])
        known = world.rows[heir].vector.get(gone, 0)
        for _ in range(commands):
            region = tape.pick(living)
            command = world.draw(tape, erasures=False)._replace(region=region)
            world.do(command if tape.number(3) else take_over(heir, gone))
            self._check_retired(world, gone, known)
        world.settle()
        world.do(take_over(heir, gone))
        left = world.rows[heir]
        world.do(take_over(heir, gone))
        assert canonical(world.rows[heir].state) == canonical(left.state)  # nothing is taken twice
        self._check_retired(world, gone, known)
        for item, rights in self._checked_rights(world, world.rows[heir]).items():
            assert rights[gone] <= 0
            spendable = min(rights[heir], sum(rights.values()))
            if spendable > 0:
                world.do(Step(heir, [op("subtract", n=spendable, item=item)], 0, None))
        row = world.rows[heir]
        assert RowReader(self.spec, 1).decode(encode_row(row)) == row
        assert canonical(world.join([row, left])) == canonical(row)

    def _check_retired(self, world: World, gone: str, known: int) -> None:
        """In every row of the living, only the gone region's rights may be negative, and only by what was not known."""
        for region, row in world.rows.items():
            ledger = Ledger(world.history(row), self.spec)
            below = {}
            if region != gone:
                for item, rights in self._checked_rights(world, row).items():
                    assert min(n for name, n in rights.items() if name != gone) >= 0
                    assert -rights[gone] <= ledger.spent_or_given(gone, item, known)
                    if ledger.above(item) < 0:
                        below[item] = -ledger.above(item)
                assert overspent(row.state, self.spec) == below

    def _checked_rights(self, world: World, row: Row[Any]) -> dict[str, dict[str, int]]:
        """Item -> region -> rights: as specified, and all together what lies above the minimum."""
        ledger = Ledger(world.history(row), self.spec)
        found = {}
        for item, accounts in self.accounts(row).items():
            found[item] = {region: escrow.rights(accounts, region, self.starting) for region in REGIONS}
            assert found[item] == {region: ledger.rights(region, item) for region in REGIONS}
            assert sum(found[item].values()) == ledger.above(item)
        return found

    def _event(self, world: World, step: Step) -> Event:
        vector = world.rows[step.region].vector
        n = vector.get(step.region, 0) + 1
        return Event(step.region, n, 0, 0, step.ops[0], step.time_us, None, vector)

    def _ledger(self, world: World, region: str) -> Ledger:
        return Ledger(world.history(world.rows[region]), self.spec)

    def _refusal(self, world: World, step: Step) -> Reason | None:
        return self.refusal(world.history(world.rows[step.region]), self._event(world, step))


class BoundedCounterLaws(EscrowLaws):
    """A bounded counter's operations and specification."""

    def operation(self, tape: Tape) -> Op:
        name = tape.pick(["add", "subtract", "subtract", "subtract", "give", "set"])
        if name == "give":
            return op("give", field=tape.pick(REGIONS), n=tape.number(9), item=THE_NUMBER)
        n = tape.pick(AMOUNTS)
        return op(name, n=self.spec.minimum + int(n) if name == "set" else n)

    def expected(self, history: History) -> Json:
        return shown(Ledger(history, self.spec).above(THE_NUMBER) + self.spec.minimum)

    def accounts(self, row: Row[Any]) -> dict[str, dict[str, escrow.Packed]]:
        return {THE_NUMBER: row.state}

    def give(self, state: Any, giver: str, gift: Op) -> Any:
        account = escrow.give(state, giver, gift.field, gift.n, self.starting)
        return {**state, giver: account} if account is not None else state


class TestBoundedCounter(BoundedCounterLaws):
    spec = KeySpec(type="bounded_counter")


class TestBoundedCounterThatStartsAboveItsMinimum(BoundedCounterLaws):
    spec = KeySpec(type="bounded_counter", minimum=-5, initial=7, home="b")
    starting: ClassVar[dict[str, int]] = {"b": 12}


class TestInventory(EscrowLaws):
    spec = KeySpec(type="inventory", max_entries=3)
    items = "pqrst"

    def operation(self, tape: Tape) -> Op:
        name = tape.pick(["add", "subtract", "subtract", "set", "give", "replace"])
        if name == "replace":
            chosen = {tape.pick(self.items): tape.pick(AMOUNTS) for _ in range(tape.number(4))}
            return op("replace", items=chosen)
        item = tape.pick(self.items)
        if name == "give":
            return op("give", item=item, field=tape.pick(REGIONS), n=tape.number(9))
        return op(name, item=item, n=tape.pick(AMOUNTS))

    def refusal(self, history: History, event: Event) -> Reason | None:
        ledger = Ledger(history, self.spec)
        deltas = ledger.deltas(event, list(history))
        present = {i for i in ledger.items() | deltas.keys() if ledger.above(i) + deltas.get(i, 0)}
        too_many = len(present) > 3 and any(n > 0 for n in deltas.values())
        return ledger.refusal(event) or (Reason.TOO_MANY_ENTRIES if too_many else None)

    def accounts(self, row: Row[Any]) -> dict[str, dict[str, escrow.Packed]]:
        items = {item for own in row.state.values() for item in own}
        return {i: {r: own[i] for r, own in row.state.items() if i in own} for i in sorted(items)}

    def give(self, state: Any, giver: str, gift: Op) -> Any:
        accounts = {region: own[gift.item] for region, own in state.items() if gift.item in own}
        account = escrow.give(accounts, giver, gift.field, gift.n, self.starting)
        own = state.get(giver, {})
        return {**state, giver: {**own, gift.item: account}} if account is not None else state


def outstanding(accounts: dict[str, escrow.Packed], region: str) -> int:
    """How much a region wants that it was not yet given."""
    wanted = escrow.unpack(accounts.get(region)).wanted
    return max(0, wanted - sum(escrow.unpack(a).given.get(region, 0) for a in accounts.values()))


def take_over(heir: str, gone: str) -> Step:
    """The heir takes over what it knows of."""
    return Step(heir, [op("take_over", field=gone)], 0, None)


def test_accounts_are_as_small_as_they_were() -> None:
    """Who took nothing over is stored as before there was such a thing, and that is read back."""
    for packed in (7, -3, [1, {"b": 2}, 0], [0, {}, 9], [1, {"b": 2}, 0, {"c": 5}]):
        assert escrow.pack(escrow.unpack(packed)) == packed
    assert escrow.pack(escrow.unpack(None)) is escrow.pack(escrow.unpack(0)) is None


def test_nothing_is_given_to_the_retired() -> None:
    """What they wanted is void; what the living want is given as ever."""
    accounts = {"a": 9, "b": [0, {}, 4], "c": [0, {}, 3]}
    assert escrow.give_all(accounts, "a", {}, {"b"}) == ([9, {"c": 3}, 0], {"c": 3})
    assert escrow.give_all(accounts, "a", {}) == ([9, {"b": 4, "c": 3}, 0], {"b": 4, "c": 3})


@given(
    amounts=st.lists(st.integers(0, 9), min_size=2, max_size=5),
    wishes=st.lists(st.sampled_from([0, 1, 5, 20, 10**9]), min_size=5, max_size=5),
    random=st.randoms(use_true_random=False),
)
@example(amounts=[3, 0], wishes=[10**9] * 5, random=Random(1))
def test_regions_that_want_more_than_there_is_come_to_rest(
    amounts: list[int], wishes: list[int], random: Random
) -> None:
    """Whatever was wanted and can no longer be had: a few gifts, whether givers see each other's or not."""
    accounts: dict[str, escrow.Packed] = {
        region: [n, {}, wish] for region, n, wish in zip("abcde", amounts, wishes, strict=False)
    }
    gifts = 0
    while True:
        before = dict(accounts)
        for giver in random.sample(sorted(accounts), len(accounts)):
            visible = {**before, giver: accounts[giver]} if random.random() < 0.5 else accounts
            accounts[giver], given_away = escrow.give_all(visible, giver, {})
            gifts += len(given_away)
        if accounts == before:
            break
        assert gifts <= 5 * len(accounts)
    assert all(escrow.rights(accounts, region, {}) >= 0 for region in accounts)


def test_a_wish_that_cannot_be_met_takes_nothing_from_who_wanted_it_too() -> None:
    """What was given for a wish stays; it goes on for one that can be met, and that may be a smaller one."""
    accounts: dict[str, escrow.Packed] = {"a": [0, {}, 50], "b": [2, {}, 7], "c": [8, {"b": 7}, 0]}
    assert escrow.give_all(accounts, "b", {})[1] == {}
    assert escrow.give_all(accounts, "c", {})[1] == {"a": 1}
    accounts["a"] = escrow.want(accounts, "a", 4, {})
    assert escrow.unpack(accounts["a"]).wanted == 4
    assert escrow.give_all(accounts, "b", {})[1] == {"a": 4}
    assert escrow.want(accounts, "a", 2, {}) == accounts["a"]  # this one can be met, and stays


def test_what_was_taken_over_counts_as_received() -> None:
    """Who wanted five and has taken over four wants but one more."""
    assert escrow.shortages({"a": [0, {}, 5, {"c": 4}], "b": 9, "c": 4}) == {"a": 1}


def test_nobody_takes_away_what_all_together_do_not_have() -> None:
    """Once a region that is gone turns out to have spent what its heir took over, nobody spends it again."""
    accounts = {"a": [0, {}, 0, {"c": 5}], "b": 1, "c": 5 - 2}
    assert escrow.rights(accounts, "a", {}) == 5
    with pytest.raises(Refused, match="insufficient"):
        escrow.change(accounts, "a", -5, {})
    assert escrow.change(accounts, "a", -4, {}) == [-4, {}, 0, {"c": 5}]


def test_a_region_that_was_retired_has_nothing_left() -> None:
    """Should it be there after all, it takes nothing away once it has heard of it."""
    accounts = {"a": [0, {}, 0, {"c": 5}], "c": 5}
    with pytest.raises(escrow.RightsElsewhere):
        escrow.change(accounts, "c", -1, {})
