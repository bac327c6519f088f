"""`map`: field -> register, where writing a field wins over a concurrent removal of it."""

from __future__ import annotations

from typing import ClassVar

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments, check_name, check_value
from playerstate.core.types.contract import Arguments, At, Refused
from playerstate.core.types.register import Written, latest, next_stamp, step
from playerstate.core.types.shapes import join_dots
from playerstate.core.version_vector import VersionVector

State = dict[str, dict[str, Written]]


class Map:
    """Region -> field -> the entry that it wrote, unless a later write or removal has seen it."""

    name = "map"
    state_type = State
    arguments: ClassVar[Arguments] = {"set": ("field", "value"), "remove": ("field",)}

    def empty(self) -> State:
        """No fields."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """The field is a name; the value is plain JSON within the key's limits."""
        check_arguments(op, self.arguments, self.name)
        check_name(op.field, ".field")
        if op.op == "set":
            check_value(op.value, spec)

    def commutes(self, op: Op) -> bool:
        """A late write would hide a later one."""
        return False

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Setting replaces the field's entries that are here; removing takes out those its writer saw."""
        field = str(op.field)
        here = [entries[field] for entries in state.values() if field in entries]
        after: State = {}
        for region, entries in state.items():
            kept = entries
            if field in entries and (op.op == "set" or at.observed(region, entries[field].n)):
                kept = {name: entry for name, entry in entries.items() if name != field}
            if kept:
                after[region] = kept
        if op.op == "set":
            written = Written(at.n, next_stamp(at, here), op.value)
            after[at.region] = {**after.get(at.region, {}), field: written}
            if not here and len(set().union(*after.values())) > spec.max_entries:
                raise Refused(Reason.TOO_MANY_ENTRIES)
            return after, Effect(op.op, field=field)
        idle = [field] if bool(here) == any(field in entries for entries in after.values()) else []
        return after, Effect(op.op, field=field, idle=idle)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By dots."""
        return join_dots(a, a_vector, b, b_vector, step)

    def value(self, state: State, spec: KeySpec) -> Json:
        """Field -> its value with the highest stamp, by field."""
        fields = sorted(set().union(*state.values()))
        chosen = {
            field: latest((region, entries[field]) for region, entries in state.items() if field in entries)
            for field in fields
        }
        return {field: entry.value for field, entry in chosen.items() if entry}
