"""Setting a key to a value, whatever its type: the operations that come to it from the value that is there, pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from playerstate.core.check import OPS_MAX
from playerstate.core.model import Json, Key, Op
from playerstate.core.numbers import parse_amount, to_json_number
from playerstate.core.schema import KeySpec, TypeName
from playerstate.errors import InvalidUpdate

NUMBERS: frozenset[TypeName] = frozenset({"counter", "bounded_counter", "max_register", "min_register"})
"""Types whose value is one whole number of any size."""


class Setting(NamedTuple):
    """What comes to the value; it holds only for the value that was read if it is `guarded`."""

    ops: list[Op]
    guarded: bool


def setting(key: Key, spec: KeySpec, present: Json, target: Json) -> Setting:
    """The operations that take a key from the value that readers see to `target`; none if that is what it has.

    Raises `InvalidUpdate` for a target that the type cannot be set to, as `cannot_be_set` or in the words of its check,
    and as `too_many_operations` where one update cannot do it.
    """
    target = _normal(spec.type, target)
    found = Setting([], guarded=False) if _same(present, target) else _RULES[spec.type](key, present, target)
    if len(found.ops) > OPS_MAX:
        raise InvalidUpdate(
            f"It takes {len(found.ops)} operations, an update has at most {OPS_MAX}; set a part of it at a time",
            code="too_many_operations",
            where="$.value",
        )
    return found


def _normal(type_name: TypeName, target: Json) -> Json:
    """The target as readers would see it, where several forms mean the same."""
    if type_name in NUMBERS:
        return to_json_number(_number(target))
    if type_name == "inventory":
        if not isinstance(target, dict):
            raise _cannot("An inventory is set to an object: item and number")
        numbers = {item: _number(n) for item, n in target.items()}
        return {item: to_json_number(n) for item, n in numbers.items() if n}
    return target


def _same(one: Json, other: Json) -> bool:
    # as text, for to Python true is 1
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def _counter(key: Key, present: Json, target: Json) -> Setting:
    return Setting([Op(*key, "add", n=to_json_number(_number(target) - _number(present)))], guarded=True)


def _bounded_counter(key: Key, _present: Json, target: Json) -> Setting:
    return Setting([Op(*key, "set", n=target)], guarded=False)


def _register(key: Key, _present: Json, target: Json) -> Setting:
    return Setting([Op(*key, "set", value=target)], guarded=False)


def _multi_register(key: Key, _present: Json, target: Json) -> Setting:
    if not isinstance(target, list) or len(target) != 1:
        raise _cannot("A multi_register is set to one value, given as a list of one")
    return Setting([Op(*key, "set", value=target[0])], guarded=False)


def _extremum(word: str, beyond: Callable[[int, int], bool]) -> Callable[[Key, Json, Json], Setting]:
    def rule(key: Key, present: Json, target: Json) -> Setting:
        if present is not None and not beyond(_number(target), _number(present)):
            raise _cannot(f"It only {word}, and is {present} already")
        return Setting([Op(*key, "set", value=target)], guarded=True)

    return rule


def _flag(key: Key, _present: Json, target: Json) -> Setting:
    if not isinstance(target, bool):
        raise _cannot("A flag is set to true or false")
    return Setting([Op(*key, "enable" if target else "disable")], guarded=False)


def _set(key: Key, present: Json, target: Json) -> Setting:
    if not isinstance(target, list) or not all(isinstance(element, str) for element in target):
        raise _cannot("A set is set to a list of texts")
    gone = [element for element in present if element not in set(target)]
    new = [element for element in dict.fromkeys(target) if element not in set(present)]
    ops = [Op(*key, op, elements=elements) for op, elements in (("remove", gone), ("add", new)) if elements]
    return Setting(ops, guarded=True)


def _map(key: Key, present: Json, target: Json) -> Setting:
    if not isinstance(target, dict):
        raise _cannot("A map is set to an object, field by field")
    ops = [Op(*key, "remove", field=field) for field in present if field not in target]
    ops += [
        Op(*key, "set", field=field, value=value)
        for field, value in target.items()
        if field not in present or not _same(present[field], value)
    ]
    return Setting(ops, guarded=True)


def _inventory(key: Key, _present: Json, target: Json) -> Setting:
    return Setting([Op(*key, "replace", items=target)], guarded=False)


def _number(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _cannot("Expected a whole number")
    if isinstance(value, int):
        return value
    return parse_amount(value, where="$.value")


def _cannot(message: str) -> InvalidUpdate:
    return InvalidUpdate(message, code="cannot_be_set", where="$.value")


_RULES: Mapping[TypeName, Callable[[Key, Json, Json], Setting]] = {
    "counter": _counter,
    "bounded_counter": _bounded_counter,
    "register": _register,
    "multi_register": _multi_register,
    "max_register": _extremum("rises", lambda value, present: value > present),
    "min_register": _extremum("falls", lambda value, present: value < present),
    "flag": _flag,
    "set": _set,
    "map": _map,
    "inventory": _inventory,
}
"""How a key of each type comes to a value."""
