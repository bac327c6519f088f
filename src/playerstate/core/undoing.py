"""Undoing: what takes back what an update did, worked out from the history, one rule for each type; pure.

Where it can be undone, the values come to be as if the update had never been, with all that was done since. What it
added is taken off again, and what it took given back, whatever was done since; a number that was `set` since counts as
what that came to. Where a later update alone decides the value (a register that was set again, a friend who was removed
later), all of it is refused: to undo one side of what changed hands would double or lose it. What the history cannot
tell is refused too, never guessed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from playerstate.core.check import OPS_MAX
from playerstate.core.model import ERASE, Identity, Key, Op
from playerstate.core.numbers import to_json_number
from playerstate.core.pasts import (
    THE_FLAG,
    Past,
    Touches,
    anything,
    decides,
    of_field,
    stands,
    value_before,
    was_and_is,
)
from playerstate.core.schema import KeySpec, Schema, TypeName
from playerstate.errors import InvalidUpdate

UNDOER_PREFIX = "undo:"


class Inverse(NamedTuple):
    """What takes an update back. It holds only while the `guarded` keys stand as they were read.

    The first operation is always on the same key, whenever it is worked out.
    """

    ops: list[Op]
    guarded: list[Key]


def undoer_of(identity: Identity, region: str) -> str:
    """The producer that undoes an update in a region that applied it: always the same, so that whoever undoes it as
    well repeats. Its sequences count the tries. Two regions may have applied it; what each did is undone by itself.
    """
    named = "\n".join([*map(str, identity), region])  # none of its parts has a line break
    return f"{UNDOER_PREFIX}{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def needs_guard(spec: KeySpec) -> bool:
    """Whether what undoes an update of such a key depends on what else has happened to the key."""
    return spec.type not in _BY_DELTAS


def inverse(pasts: Sequence[Past], schema: Schema) -> Inverse:
    """What takes back all that an update did, given its keys, the first one first.

    Raises `InvalidUpdate`: as `cannot_be_undone` for what can never be, `cannot_be_known` for what the history does not
    tell, `overwritten` where a later update decides, `nothing_to_undo` if it changed nothing, `too_many_operations` if
    more is to be done than an update may.
    """
    ops: list[Op] = []
    guarded: list[Key] = []
    for past in pasts:
        spec = schema.keys[past.key.state_key]
        if any(effect.op == ERASE for effect in past.cause.effects):
            raise InvalidUpdate("An erasure cannot be undone", code="cannot_be_undone")
        taken = _RULES[spec.type](past)
        if taken and needs_guard(spec):
            guarded.append(past.key)
        ops += taken
    if not ops:
        raise InvalidUpdate("It changed nothing that could be undone", code="nothing_to_undo")
    if len(ops) > OPS_MAX:
        raise InvalidUpdate(
            f"It takes {len(ops)} operations, an update has at most {OPS_MAX}", code="too_many_operations"
        )
    return Inverse(ops, guarded)


def _counter(past: Past) -> list[Op]:
    net = _net(past)
    return [Op(*past.key, "add", n=to_json_number(-net))] if net else []


def _bounded_counter(past: Past) -> list[Op]:
    net = _net(past)
    return [Op(*past.key, op, n=n) for op, n in _against(net)]


def _inventory(past: Past) -> list[Op]:
    nets: Counter[str] = Counter()
    for effect in past.cause.effects:
        for item, delta in (effect.deltas or {str(effect.item): effect.delta or 0}).items():
            nets[item] += delta
    # what goes, first: there may be no room for more items
    changed = sorted(nets, key=lambda item: (nets[item] < 0, item))
    return [Op(*past.key, op, item=item, n=n) for item in changed for op, n in _against(nets[item])]


def _against(net: int) -> list[tuple[str, int | str]]:
    return [("subtract" if net > 0 else "add", to_json_number(abs(net)))] if net else []


def _net(past: Past) -> int:
    return sum([effect.delta or 0 for effect in past.cause.effects])


def _register(past: Past) -> list[Op]:
    _check_stands(past, anything)
    return [Op(*past.key, "set", value=value_before(past, anything))]


def _multi_register(past: Past) -> list[Op]:
    _check_stands(past, anything)
    values = value_before(past, anything) or []
    if len(values) != 1:
        raise InvalidUpdate(
            f"{past.key} had {len(values)} values before, and can only be set to exactly one", code="cannot_be_undone"
        )
    return [Op(*past.key, "set", value=values[0])]


def _extremum(past: Past) -> list[Op]:
    raise InvalidUpdate(
        f"{past.key} only goes one way: what a max or min register has taken cannot be undone", code="cannot_be_undone"
    )


def _flag(past: Past) -> list[Op]:
    was_on, is_on = was_and_is(past, THE_FLAG)
    if was_on == is_on:
        return []
    _check_stands(past, decides(THE_FLAG, is_there=is_on))
    return [Op(*past.key, "disable" if is_on else "enable")]


def _set(past: Past) -> list[Op]:
    back: list[str] = []
    out: list[str] = []
    for element in dict.fromkeys([element for effect in past.cause.effects for element in effect.elements or ()]):
        was_in, is_in = was_and_is(past, element)
        if was_in != is_in:
            _check_stands(past, decides(element, is_there=is_in), element)
            (out if is_in else back).append(element)
    return [Op(*past.key, op, elements=elements) for op, elements in (("remove", out), ("add", back)) if elements]


def _map(past: Past) -> list[Op]:
    ops: list[Op] = []
    for field in dict.fromkeys([str(effect.field) for effect in past.cause.effects]):
        done = [effect.op for effect in past.cause.effects if effect.field == field and not effect.idle]
        if not done:
            continue
        _check_stands(past, decides(field, is_there=done[-1] == "set"), field)
        fields = value_before(past, of_field(field)) or {}
        if field in fields:
            ops.append(Op(*past.key, "set", field=field, value=fields[field]))
        elif done[-1] == "set":
            ops.append(Op(*past.key, "remove", field=field))
    return ops


def _check_stands(past: Past, touches: Touches, name: str = "") -> None:
    if not stands(past, touches):
        what = f"{name!r} of {past.key}" if name else str(past.key)
        raise InvalidUpdate(f"A later update has decided {what}; nothing is undone", code="overwritten")


_BY_DELTAS: frozenset[TypeName] = frozenset({"counter", "bounded_counter", "inventory"})
"""Types of which an update can be taken back whatever happened since."""

_RULES: Mapping[TypeName, Callable[[Past], list[Op]]] = {
    "counter": _counter,
    "bounded_counter": _bounded_counter,
    "inventory": _inventory,
    "register": _register,
    "multi_register": _multi_register,
    "max_register": _extremum,
    "min_register": _extremum,
    "flag": _flag,
    "set": _set,
    "map": _map,
}
"""What takes back what was done to a key of each type."""
