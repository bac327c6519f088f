"""What `max_register` and `min_register` share: each region's part is the best value that was set there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, cast

from playerstate.core.model import Effect, Json, Op
from playerstate.core.numbers import BigInt, parse_amount, to_json_number
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments, check_number
from playerstate.core.types.contract import Arguments, At
from playerstate.core.types.shapes import join_parts
from playerstate.core.version_vector import VersionVector

State = dict[str, BigInt]


class Extremum(ABC):
    """Region -> the best value set there, by `best`."""

    name: str
    state_type = State
    arguments: ClassVar[Arguments] = {"set": ("value",)}

    @staticmethod
    @abstractmethod
    def best(values: Iterable[int]) -> int:
        """The one of several values that stays."""

    def empty(self) -> State:
        """Nothing set: the value is null."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """The value is a whole number within the key's range."""
        check_arguments(op, self.arguments, self.name)
        check_number(op.value, spec)

    def commutes(self, op: Op) -> bool:
        """The best of several does not depend on their order."""
        return True

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Keep the better of the region's own part and the value, unless another region has better."""
        value = parse_amount(cast("int | str", op.value), where=".value")
        if value in state.values() or self.best([*state.values(), value]) != value:
            return state, Effect(op.op)
        return {**state, at.region: value}, Effect(op.op)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By parts."""
        return join_parts(a, a_vector, b, b_vector)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The best of all parts."""
        return to_json_number(self.best(state.values())) if state else None
