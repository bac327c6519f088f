"""Integers of any size, in the forms that carry them.

JSON readers lose integers beyond 2^53, and MessagePack has no integers beyond 64 bits. So amounts are exact `int`s
inside; in JSON they become decimal strings beyond 2^53, in MessagePack an extension type beyond 64 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from playerstate.errors import InvalidUpdate

JSON_INTEGER_MAX = 2**53
"""The largest magnitude that every JSON reader keeps exactly."""

DIGITS_MAX = 38
"""The most decimal digits of an operation's amount (what a DynamoDB number holds). Sums may grow beyond."""

_BIG_INTEGER_EXT = 1

if TYPE_CHECKING:
    BigInt: TypeAlias = int
else:  # msgspec takes an extension only where the field's type is open
    BigInt = Any


def to_json_number(n: int) -> int | str:
    """`n` as JSON carries it: a number, or its decimal text beyond 2^53."""
    return n if -JSON_INTEGER_MAX <= n <= JSON_INTEGER_MAX else str(n)


def parse_amount(n: int | str, *, where: str) -> int:
    """An operation's amount, given as a number or as decimal text.

    Raises `InvalidUpdate` when it is not an integer or has more than `DIGITS_MAX` digits.
    """
    if isinstance(n, str):
        digits = n[1:] if n[:1] == "-" else n
        if not (digits.isascii() and digits.isdecimal()):
            raise InvalidUpdate(f"Expected a whole number, got {n[:80]!r}", code="bad_number", where=where)
        if len(digits) > DIGITS_MAX:
            raise InvalidUpdate(f"Expected a number of at most {DIGITS_MAX} digits", code="out_of_range", where=where)
        return int(n)
    if not -(10**DIGITS_MAX) < n < 10**DIGITS_MAX:
        raise InvalidUpdate(f"Expected a number of at most {DIGITS_MAX} digits", code="out_of_range", where=where)
    return n


def pack(value: object) -> bytes:
    """MessagePack of anything that holds exact integers of any size."""
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return msgspec.msgpack.encode(_with_extensions(msgspec.to_builtins(value)))


def unpack_extension(code: int, data: memoryview) -> int:
    """The `ext_hook` of decoders that read what `pack` wrote."""
    if code != _BIG_INTEGER_EXT:
        raise ValueError(f"unknown extension {code}")
    return int.from_bytes(data, "big", signed=True)


def _with_extensions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_extensions(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_extensions(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        width = value.bit_length() // 8 + 1
        return msgspec.msgpack.Ext(_BIG_INTEGER_EXT, value.to_bytes(width, "big", signed=True))
    return value
