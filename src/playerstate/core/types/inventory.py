"""`inventory`: item -> a bounded counter that starts and ends at zero, where it is absent (see `escrow`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import ClassVar

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.numbers import parse_amount, to_json_number
from playerstate.core.schema import KeySpec
from playerstate.core.types import escrow
from playerstate.core.types.arguments import amount, check_amount, check_arguments, check_name
from playerstate.core.types.contract import Arguments, At, Refused
from playerstate.core.types.shapes import join_parts
from playerstate.core.version_vector import VersionVector
from playerstate.errors import InvalidUpdate

State = dict[str, dict[str, escrow.Packed]]

_NO_START: Mapping[str, int] = {}


class Inventory:
    """Region -> item -> its escrow account."""

    name = "inventory"
    state_type = State
    arguments: ClassVar[Arguments] = {
        "add": ("item", "n"),
        "subtract": ("item", "n"),
        "set": ("item", "n"),
        "replace": ("items",),
    }

    def empty(self) -> State:
        """No items."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """Items have names, amounts are not negative."""
        check_arguments(op, self.arguments, self.name)
        if op.op == "replace":
            self._check_items(op, spec)
        else:
            check_name(op.item, ".item")
            check_amount(op, minimum=0)

    def commutes(self, op: Op) -> bool:
        """Additions and subtractions commute; `set` and `replace` speak of the inventory at their time."""
        return op.op in ("add", "subtract")

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Change the region's own accounts by the deltas that the operation comes to; all of them or none."""
        own = dict(state.get(at.region, {}))
        deltas = self._deltas(state, op)
        wanted: dict[str, int] = {}
        for item, delta in deltas.items():
            accounts = _accounts(state, item)
            try:
                account = escrow.change(accounts, at.region, delta, _NO_START)
            except escrow.RightsElsewhere as exc:
                wanted[item] = exc.wanted
                continue
            if account is None:
                own.pop(item, None)
            else:
                own[item] = account
        if wanted:
            raise Refused(Reason.RIGHTS_ELSEWHERE, partial(_want, region=at.region, wanted=wanted))
        after = {**state, at.region: own}
        if not own:
            del after[at.region]
        entries_at_most = len(own) if len(after) == 1 else sum(map(len, after.values()))
        if entries_at_most > spec.max_entries and self._too_many(after, deltas, spec):
            raise Refused(Reason.TOO_MANY_ENTRIES)
        if op.op == "replace":
            return after, Effect(op.op, deltas=deltas)
        return after, Effect(op.op, next(iter(deltas.values()), 0), str(op.item))

    def give(
        self, state: State, giver: str, spec: KeySpec, retired: Collection[str] = ()
    ) -> tuple[State, list[Effect]]:
        """Move rights from one region to those that want them, item by item."""
        own = dict(state.get(giver, {}))
        effects = []
        for item in sorted(own):  # what it has no account of, it has no rights to
            own[item], gifts = escrow.give_all(_accounts(state, item), giver, _NO_START, retired)
            if gifts:
                effects.append(Effect("give", item=item, deltas=gifts))
        return ({**state, giver: own}, effects) if effects else (state, [])

    def take_over(self, state: State, heir: str, gone: str, spec: KeySpec) -> tuple[State, list[Effect]]:
        """Move the rights of a region that is gone to its heir, item by item."""
        own = dict(state.get(heir, {}))
        effects = []
        for item in sorted(set().union(*state.values())):
            account, held = escrow.take_over(_accounts(state, item), heir, gone, _NO_START)
            if held:
                own[item] = account
                effects.append(Effect("take_over", item=item, deltas={gone: held}))
        return ({**state, heir: own}, effects) if effects else (state, [])

    def overspent(self, state: State, spec: KeySpec) -> dict[str, int]:
        """How far items are below zero."""
        return {item: -n for item, n in sorted(self._exact(state).items()) if n < 0}

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By parts."""
        return join_parts(a, a_vector, b, b_vector)

    def value(self, state: State, spec: KeySpec) -> Json:
        """Item -> how many, without those at zero, by name."""
        exact = self._exact(state)
        return {item: to_json_number(exact[item]) for item in sorted(exact)}

    @staticmethod
    def _check_items(op: Op, spec: KeySpec) -> None:
        items = op.items if isinstance(op.items, dict) else {}
        if len(items) > spec.max_entries:
            raise InvalidUpdate(
                f"{len(items)} items are given, the key allows {spec.max_entries}",
                code="too_many_entries",
                where=".items",
            )
        for item, n in items.items():
            check_name(item, ".items")
            where = f".items.{item}"
            if parse_amount(n, where=where) < 0:
                raise InvalidUpdate(
                    f"Expected a number of 0 or more, got {n}",
                    code="out_of_range",
                    where=where,
                )

    def _deltas(self, state: State, op: Op) -> dict[str, int]:
        if op.op == "replace":
            items = op.items if isinstance(op.items, dict) else {}
            target = {item: parse_amount(n, where=".items") for item, n in items.items()}
            present = self._exact(state)
            changed: Iterable[str] = sorted(target.keys() | present.keys())
            deltas = {item: target.get(item, 0) - present.get(item, 0) for item in changed}
            return {item: delta for item, delta in deltas.items() if delta}
        item, n = str(op.item), amount(op)
        if op.op == "set":
            accounts = _accounts(state, item)
            return {item: n - escrow.net_total(accounts)}
        return {item: n if op.op == "add" else -n}

    def _too_many(self, after: State, deltas: Mapping[str, int], spec: KeySpec) -> bool:
        """Whether there are more items than the key allows, which those that only take away may leave so."""
        return any(delta > 0 for delta in deltas.values()) and len(self._exact(after)) > spec.max_entries

    @staticmethod
    def _exact(state: State) -> dict[str, int]:
        totals: dict[str, int] = {}
        for accounts in state.values():
            for item, packed in accounts.items():
                net = packed if isinstance(packed, int) else packed[0]
                totals[item] = totals.get(item, 0) + net
        return {item: n for item, n in totals.items() if n}


def _want(state: State, region: str, wanted: Mapping[str, int]) -> State:
    wishes = {item: escrow.want(_accounts(state, item), region, n, _NO_START) for item, n in wanted.items()}
    return {**state, region: state.get(region, {}) | wishes}


def _accounts(state: State, item: str) -> dict[str, escrow.Packed]:
    return {region: accounts[item] for region, accounts in state.items() if item in accounts}
