"""`counter`: an exact integer that every region adds to. Each region's part is its own net sum."""

from __future__ import annotations

from typing import ClassVar

from playerstate.core.model import Effect, Json, Op
from playerstate.core.numbers import BigInt, to_json_number
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import amount, check_amount, check_arguments
from playerstate.core.types.contract import Arguments, At
from playerstate.core.types.shapes import join_parts
from playerstate.core.version_vector import VersionVector

State = dict[str, BigInt]


class Counter:
    """Sum of all regions' parts; a part that nets to zero is dropped."""

    name = "counter"
    state_type = State
    arguments: ClassVar[Arguments] = {"add": ("n",)}

    def empty(self) -> State:
        """No parts: zero."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """`n` is an integer of either sign."""
        check_arguments(op, self.arguments, self.name)
        check_amount(op)

    def commutes(self, op: Op) -> bool:
        """Additions commute."""
        return True

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Add to the region's own part."""
        n = amount(op)
        part = state.get(at.region, 0) + n
        after = dict(state)
        if part:
            after[at.region] = part
        else:
            after.pop(at.region, None)
        return after, Effect(op.op, n)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By parts."""
        return join_parts(a, a_vector, b, b_vector)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The sum."""
        return to_json_number(sum(state.values()))
