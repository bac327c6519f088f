"""`set`: texts, where adding wins over a concurrent removal.

The optimized observed-remove set of Bieniusa et al. 2012, "An optimized conflict-free replicated set": no tombstones,
because a row's vector says what it has seen.
"""

from __future__ import annotations

from typing import ClassVar

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments, check_name
from playerstate.core.types.contract import Arguments, At, Refused
from playerstate.core.types.shapes import join_dots
from playerstate.core.version_vector import VersionVector
from playerstate.errors import InvalidUpdate

State = dict[str, dict[str, int]]


def _step(entry: int) -> int:
    return entry


class Set:
    """Region -> element -> the region's step that added it last."""

    name = "set"
    state_type = State
    arguments: ClassVar[Arguments] = {"add": ("elements",), "remove": ("elements",)}

    def empty(self) -> State:
        """No elements."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """1 element or more, each a name."""
        check_arguments(op, self.arguments, self.name)
        elements = op.elements if isinstance(op.elements, list) else []
        if not 1 <= len(elements) <= spec.max_entries:
            raise InvalidUpdate(
                f"Expected 1 to {spec.max_entries} elements, got {len(elements)}",
                code="too_many_entries",
                where=".elements",
            )
        for index, element in enumerate(elements):
            check_name(element, f".elements[{index}]")

    def commutes(self, op: Op) -> bool:
        """Adding and removing the same element do not commute."""
        return False

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Adding files the elements under this step alone; removing takes out what its writer had seen."""
        elements = list(dict.fromkeys(op.elements if isinstance(op.elements, list) else []))
        adding = op.op == "add"
        after: State = {}
        for region, entries in state.items():
            gone = [e for e in elements if e in entries and (adding or at.observed(region, entries[e]))]
            if gone:
                entries = dict(entries)  # noqa: PLW2901 - copy on write
                for element in gone:
                    del entries[element]
            if entries:
                after[region] = entries
        if adding:
            own = dict(after.get(at.region, {}))
            own.update(dict.fromkeys(elements, at.n))
            after[at.region] = own
            entries_at_most = sum(map(len, after.values()))
            if entries_at_most > spec.max_entries and len(_members(after)) > spec.max_entries:
                raise Refused(Reason.TOO_MANY_ENTRIES)
        idle = [e for e in elements if _is_in(state, e) == _is_in(after, e)]
        return after, Effect(op.op, elements=elements, idle=idle)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By dots."""
        return join_dots(a, a_vector, b, b_vector, _step)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The elements, sorted."""
        return sorted(_members(state))


def _is_in(state: State, element: str) -> bool:
    return any(element in entries for entries in state.values())


def _members(state: State) -> set[str]:
    return set().union(*state.values())
