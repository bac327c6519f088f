"""`bounded_counter`: an exact integer that never goes below its minimum, in any region (see `escrow`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import ClassVar

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.numbers import to_json_number
from playerstate.core.schema import KeySpec
from playerstate.core.types import escrow
from playerstate.core.types.arguments import amount, check_amount, check_arguments
from playerstate.core.types.contract import Arguments, At, Refused
from playerstate.core.types.shapes import join_parts
from playerstate.core.version_vector import VersionVector

State = dict[str, escrow.Packed]


class BoundedCounter:
    """Region -> its escrow account."""

    name = "bounded_counter"
    state_type = State
    arguments: ClassVar[Arguments] = {"add": ("n",), "subtract": ("n",), "set": ("n",)}

    def empty(self) -> State:
        """No accounts: the initial value."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """Amounts are not negative; a target is not below the minimum."""
        check_arguments(op, self.arguments, self.name)
        check_amount(op, minimum=spec.minimum if op.op == "set" else 0)

    def commutes(self, op: Op) -> bool:
        """Additions and subtractions commute; `set` speaks of the value at its time."""
        return op.op != "set"

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Change the region's own account. `set` is worked out to the delta from the value that is here."""
        n = amount(op)
        delta = n - self._exact(state, spec) if op.op == "set" else _signed(op.op, n)
        try:
            account = escrow.change(state, at.region, delta, _starting(spec))
        except escrow.RightsElsewhere as exc:
            note = partial(_want, region=at.region, wanted=exc.wanted, starting=_starting(spec))
            raise Refused(Reason.RIGHTS_ELSEWHERE, note) from exc
        after = dict(state)
        if account is None:
            after.pop(at.region, None)
        else:
            after[at.region] = account
        return after, Effect(op.op, delta)

    def give(
        self, state: State, giver: str, spec: KeySpec, retired: Collection[str] = ()
    ) -> tuple[State, list[Effect]]:
        """Move rights from one region to those that want them."""
        account, gifts = escrow.give_all(state, giver, _starting(spec), retired)
        return ({**state, giver: account}, [Effect("give", deltas=gifts)]) if gifts else (state, [])

    def take_over(self, state: State, heir: str, gone: str, spec: KeySpec) -> tuple[State, list[Effect]]:
        """Move the rights of a region that is gone to its heir."""
        account, held = escrow.take_over(state, heir, gone, _starting(spec))
        return ({**state, heir: account}, [Effect("take_over", deltas={gone: held})]) if held else (state, [])

    def overspent(self, state: State, spec: KeySpec) -> dict[str, int]:
        """How far the number is below its minimum."""
        below = spec.minimum - self._exact(state, spec)
        return {"": below} if below > 0 else {}

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By parts."""
        return join_parts(a, a_vector, b, b_vector)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The initial value and all that was added since."""
        return to_json_number(self._exact(state, spec))

    @staticmethod
    def _exact(state: State, spec: KeySpec) -> int:
        return spec.start + escrow.net_total(state)


def _signed(name: str, n: int) -> int:
    return n if name == "add" else -n


def _want(state: State, region: str, wanted: int, starting: Mapping[str, int]) -> State:
    return {**state, region: escrow.want(state, region, wanted, starting)}


def _starting(spec: KeySpec) -> dict[str, int]:
    above = spec.start - spec.minimum
    return {spec.home: above} if above and spec.home else {}
