"""`register`: the value of the latest write, where later means a higher stamp, and causally later always is.

A write's stamp is a hybrid logical clock (Kulkarni et al. 2014): the sender's time, or one tick beyond every stamp that
the writing region saw, whichever is larger. All concurrent writes are kept; the stamp only chooses among them on
reading, so that a join never discards what another write could not have known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from playerstate.core.model import Effect, Json, Op
from playerstate.core.schema import KeySpec
from playerstate.core.types.arguments import check_arguments, check_value
from playerstate.core.types.contract import Arguments, At
from playerstate.core.types.shapes import join_dots
from playerstate.core.version_vector import VersionVector


class Written(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A value with the step that wrote it and its stamp in microseconds since 1970."""

    n: int
    stamp: int
    value: Json


State = dict[str, dict[str, Written]]

THE_VALUE = ""
"""The one name under which a region files its entry."""


def step(entry: Written) -> int:
    """The step that wrote an entry."""
    return entry.n


def next_stamp(at: At, entries: Iterable[Written]) -> int:
    """The stamp of a write at `at` by someone who sees `entries`."""
    stamp = at.time_us
    for entry in entries:
        if entry.stamp >= stamp:
            stamp = entry.stamp + 1
    return stamp


def latest(entries: Iterable[tuple[str, Written]]) -> Written | None:
    """Of entries with their regions, the one readers see: the highest stamp, ties by region, then step."""
    best = max(entries, key=lambda pair: (pair[1].stamp, pair[0], pair[1].n), default=None)
    return best[1] if best else None


class Register:
    """Region -> the entry that it wrote, unless a later write has seen it."""

    name = "register"
    state_type = State
    arguments: ClassVar[Arguments] = {"set": ("value",)}

    def empty(self) -> State:
        """Nothing written: the value is null."""
        return {}

    def check(self, op: Op, spec: KeySpec) -> None:
        """The value is plain JSON within the key's limits."""
        check_arguments(op, self.arguments, self.name)
        check_value(op.value, spec)

    def commutes(self, op: Op) -> bool:
        """A late write would hide a later one."""
        return False

    def apply(self, state: State, op: Op, at: At, spec: KeySpec) -> tuple[State, Effect]:
        """Replace everything that is here."""
        here = [entry for entries in state.values() for entry in entries.values()]
        written = Written(at.n, next_stamp(at, here), op.value)
        return {at.region: {THE_VALUE: written}}, Effect(op.op)

    def join(self, a: State, a_vector: VersionVector, b: State, b_vector: VersionVector) -> State:
        """By dots."""
        return join_dots(a, a_vector, b, b_vector, step)

    def value(self, state: State, spec: KeySpec) -> Json:
        """The value with the highest stamp."""
        if len(state) == 1:  # no need to choose, as a rule
            (entries,) = state.values()
            if len(entries) == 1:
                return entries[THE_VALUE].value
        chosen = latest((region, entry) for region, entries in state.items() for entry in entries.values())
        return chosen.value if chosen else None
