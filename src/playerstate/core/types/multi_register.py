"""`multi_register`: all values that were written concurrently, until a write that saw them covers them."""

from __future__ import annotations

from typing import ClassVar

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments, check_value
from playerstate.core.types.contract import Arguments, At, Refused
from playerstate.core.types.register import Written, step
from playerstate.core.types.shapes import join_dots
from playerstate.core.version_vector import VersionVector

State = dict[str, dict[str, Written]]


class MultiRegister:
    """Region -> its entries, filed by the step that wrote them.

    A region has several when a writer says by `seen` that it had not read the earlier ones.
    """

    name = "multi_register"
    state_type = State
    arguments: ClassVar[Arguments] = {"set": ("value",)}

    def empty(self) -> State:
        """No values."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """The value is plain JSON within the key's limits."""
        check_arguments(op, self.arguments, self.name)
        check_value(op.value, spec)

    def commutes(self, op: Op) -> bool:
        """A late write would cover later ones."""
        return False

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Add the value, and cover what its writer had seen."""
        after: State = {}
        for region, entries in state.items():
            unseen = {name: entry for name, entry in entries.items() if not at.observed(region, entry.n)}
            if unseen:
                after[region] = unseen
        after[at.region] = {**after.get(at.region, {}), str(at.n): Written(at.n, at.time_us, op.value)}
        if sum(map(len, after.values())) > spec.max_entries:
            raise Refused(Reason.TOO_MANY_ENTRIES)
        return after, Effect(op.op)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By dots."""
        return join_dots(a, a_vector, b, b_vector, step)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The values, by region and then by step."""
        return [entry.value for region in sorted(state) for entry in sorted(state[region].values(), key=step)]
