"""`flag`: on or off, where enabling wins over a concurrent disabling."""

from __future__ import annotations

from typing import ClassVar

from playerstate.core.model import Effect, Json, Op
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments
from playerstate.core.types.contract import Arguments, At
from playerstate.core.types.shapes import join_dots
from playerstate.core.version_vector import VersionVector

State = dict[str, dict[str, int]]

_ENABLED = ""


def _step(entry: int) -> int:
    return entry


class Flag:
    """Region -> the step that enabled the flag, while nobody who had seen it disabled it."""

    name = "flag"
    state_type = State
    arguments: ClassVar[Arguments] = {"enable": (), "disable": ()}

    def empty(self) -> State:
        """Off."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """No arguments."""
        check_arguments(op, self.arguments, self.name)

    def commutes(self, op: Op) -> bool:
        """The last of two operations of one producer counts."""
        return False

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Enabling replaces every enabling that is here; disabling removes those that its writer had seen."""
        if op.op == "enable":
            return {at.region: {_ENABLED: at.n}}, Effect(op.op, idle=_idle(before=bool(state), after=True))
        unseen = {region: entries for region, entries in state.items() if not at.observed(region, entries[_ENABLED])}
        return unseen, Effect(op.op, idle=_idle(before=bool(state), after=bool(unseen)))

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By dots."""
        return join_dots(a, a_vector, b, b_vector, _step)

    def value(self, state: State, spec: KeySpec) -> Json:
        """True while any enabling stands."""
        return bool(state)


def _idle(*, before: bool, after: bool) -> list[str]:
    return [_ENABLED] if before == after else []
