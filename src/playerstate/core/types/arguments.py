"""Checks of operations' arguments that several data types share.

Every check raises `InvalidUpdate` with a message that says what is wrong, in the same words on every way in, and where
within the operation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from playerstate.core.model import ERASE, Json, Op
from playerstate.core.numbers import JSON_INTEGER_MAX, parse_amount
from playerstate.core.schema import KeySpec
from playerstate.errors import InvalidUpdate

ARGUMENTS = ("item", "n", "items", "elements", "field", "value")
DEPTH_MAX = 16
NAME_LENGTH_MAX = 128


def check_arguments(op: Op, wanted: Mapping[str, tuple[str, ...]], type_name: str) -> None:
    """The operation is one of the type's, with exactly the arguments that it needs."""
    needed = wanted.get(op.op)
    if needed is None:
        if op.op == ERASE:
            raise InvalidUpdate("Erasing is a call of its own, and no update", code="not_an_update", where=".op")
        names = ", ".join(sorted(wanted))
        raise InvalidUpdate(
            f"A {type_name} has no operation {op.op[:40]!r}; it has {names}", code="unknown_operation", where=".op"
        )
    if _missing(op) == _lacking(needed):  # the usual case, at the price of one comparison
        return
    for argument in ARGUMENTS:
        given = getattr(op, argument) is not UNSET
        if given and argument not in needed:
            raise InvalidUpdate(
                f"The operation {op.op} of a {type_name} takes no `{argument}`",
                code="unexpected_argument",
                where=f".{argument}",
            )
        if not given and argument in needed:
            raise InvalidUpdate(
                f"The operation {op.op} of a {type_name} needs `{argument}`",
                code="missing_argument",
                where=f".{argument}",
            )


def _missing(op: Op) -> tuple[bool, ...]:
    """Which of `ARGUMENTS` the operation has not, in their order."""
    return (
        op.item is UNSET,
        op.n is UNSET,
        op.items is UNSET,
        op.elements is UNSET,
        op.field is UNSET,
        op.value is UNSET,
    )


@cache
def _lacking(needed: tuple[str, ...]) -> tuple[bool, ...]:
    return tuple(argument not in needed for argument in ARGUMENTS)


def amount(op: Op) -> int:
    """`n` of a checked operation."""
    return parse_amount(op.n, where=".n") if isinstance(op.n, (int, str)) else 0


def check_amount(op: Op, *, minimum: int | None = None) -> int:
    """`n` is an exact integer, and not below `minimum`."""
    n = _whole_number(op.n, ".n")
    if minimum is not None and n < minimum:
        raise InvalidUpdate(f"Expected a number of {minimum} or more, got {n}", code="out_of_range", where=".n")
    return n


def check_name(name: object, where: str) -> None:
    """An item, element or field: 1 to 128 printable characters."""
    if not isinstance(name, str):
        raise InvalidUpdate("Expected a text", code="bad_name", where=where)
    if not name or len(name) > NAME_LENGTH_MAX:
        raise InvalidUpdate(f"Expected 1 to {NAME_LENGTH_MAX} characters", code="bad_name", where=where)
    if not name.isprintable():
        raise InvalidUpdate("Control characters are not allowed", code="bad_name", where=where)


def check_number(value: object, spec: KeySpec) -> int:
    """`value` is a whole number within the key's range."""
    n = _whole_number(value, ".value")
    _check_range(n, spec)
    return n


def check_value(value: Json, spec: KeySpec) -> None:
    """`value` is plain JSON within the key's limits: depth, size, range, allowed values, numbers that readers keep."""
    check_json(value, ".value")
    size = len(value) if isinstance(value, str) else len(msgspec.json.encode(value))
    if size > spec.max_length:
        raise InvalidUpdate(
            f"The value's length is {size}, the key allows {spec.max_length}", code="too_long", where=".value"
        )
    if spec.values is not None and not any(_same(value, allowed) for allowed in spec.values):
        raise InvalidUpdate("The value is not one of those that the key allows", code="not_allowed", where=".value")
    if spec.range is not None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidUpdate("Expected a number", code="bad_number", where=".value")
        _check_range(value, spec)


def _whole_number(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InvalidUpdate("Expected a whole number", code="bad_number", where=where)
    return parse_amount(value, where=where)


def _same(value: Json, allowed: Json) -> bool:
    # to Python true is 1
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


def _check_range(n: float, spec: KeySpec) -> None:
    if spec.range is not None and not spec.range[0] <= n <= spec.range[1]:
        low, high = spec.range
        raise InvalidUpdate(f"The number is not within {low} to {high}", code="out_of_range", where=".value")


def check_json(value: Any, where: str) -> None:
    """Plain JSON, not nested too deep, with numbers that every reader keeps and texts that UTF-8 can carry."""
    try:
        _check_json(value, DEPTH_MAX)
    except InvalidUpdate as exc:
        raise exc.within(where) from None


def _check_json(value: Any, depth: int) -> None:
    """As `check_json`; the path of an error grows on its way out, so that what is right costs no path."""
    kind = type(value)  # exactly: a subclass may not be encoded as what it derives from
    if kind is str:
        _check_text(value)
    elif kind is int:
        if not -JSON_INTEGER_MAX <= value <= JSON_INTEGER_MAX:
            raise InvalidUpdate("A whole number beyond 2^53 must be sent as text", code="out_of_range", where="")
    elif kind is float:
        if not math.isfinite(value):
            raise InvalidUpdate("NaN and infinities are not allowed", code="out_of_range", where="")
    elif value is None or kind is bool:
        return
    elif kind not in (dict, list):
        raise InvalidUpdate(f"Expected JSON, got {kind.__name__}", code="bad_value", where="")
    elif depth == 0:
        raise InvalidUpdate(f"The value is nested deeper than {DEPTH_MAX} levels", code="too_deep", where="")
    elif kind is dict:
        for name, item in value.items():
            if not isinstance(name, str):
                raise InvalidUpdate("Expected a text as a name", code="bad_value", where="")
            _check_text(name)
            if type(item) is str and item.isascii():
                continue
            try:
                _check_json(item, depth - 1)
            except InvalidUpdate as exc:
                raise exc.within(f".{name[:40]}") from None
    else:
        for index, item in enumerate(value):
            try:
                _check_json(item, depth - 1)
            except InvalidUpdate as exc:
                raise exc.within(f"[{index}]") from None


def _check_text(text: str) -> None:
    # isascii is a flag look-up; only other texts can hold lone surrogates, which UTF-8 cannot carry
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidUpdate("The text is not valid Unicode", code="bad_text", where="")
