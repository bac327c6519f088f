"""Integers of any size, in every form that carries them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.worlds import canonical
from playerstate.core.numbers import (
    DIGITS_MAX,
    JSON_INTEGER_MAX,
    pack,
    parse_amount,
    to_json_number,
    unpack_extension,
)
from playerstate.errors import InvalidUpdate

EDGES = [edge + d for edge in (0, 2**31, 2**53, 2**63, 2**64, 2**127) for d in (-1, 0, 1)]
integers = st.integers() | st.sampled_from(EDGES + [-n for n in EDGES])


@given(
    st.recursive(integers | st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_packing_keeps_every_integer(value: object) -> None:
    """Whatever its size, wherever it stands."""
    assert canonical(value) == value
    assert msgspec.msgpack.decode(pack(value), ext_hook=unpack_extension) == value


def test_integers_of_64_bits_need_no_extension() -> None:
    """So that other readers of MessagePack can read nearly every row."""
    for n in (2**63 - 1, -(2**63), 2**64 - 1):
        assert msgspec.msgpack.decode(pack([n])) == [n]


def test_unknown_extensions_are_refused() -> None:
    """Nobody wrote them."""
    packed = msgspec.msgpack.encode(msgspec.msgpack.Ext(5, b"x"))
    with pytest.raises(ValueError, match="unknown extension 5"):
        msgspec.msgpack.decode(packed, ext_hook=unpack_extension)


@given(integers)
def test_json_carries_what_every_reader_keeps(n: int) -> None:
    """Up to 2^53 a number, beyond it decimal text."""
    shown = to_json_number(n)
    assert int(shown) == n
    assert isinstance(shown, int) == (abs(n) <= JSON_INTEGER_MAX)


@given(st.integers(-(10**DIGITS_MAX) + 1, 10**DIGITS_MAX - 1))
def test_amounts_may_be_numbers_or_text(n: int) -> None:
    """Both mean the same."""
    assert parse_amount(n, where="$") == parse_amount(str(n), where="$") == n


NO_NUMBERS = ["", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "1_000", "--1", "½", "\u0661", "NaN"]
TOO_MANY_DIGITS = [10**DIGITS_MAX, -(10**DIGITS_MAX), 10**5000, "9" * 39, "-" + "9" * 39, "0" * 10_000]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    """Only ASCII digits, with a minus sign or without."""
    with pytest.raises(InvalidUpdate, match="Expected a whole number, got") as caught:
        parse_amount(text, where="$.ops[0].n")
    assert (caught.value.code, caught.value.where) == ("bad_number", "$.ops[0].n")


@pytest.mark.parametrize("n", TOO_MANY_DIGITS, ids=range(len(TOO_MANY_DIGITS)))
def test_amounts_have_at_most_38_digits(n: int | str) -> None:
    """However many there are: the message must not fail on them."""
    with pytest.raises(InvalidUpdate, match="at most 38 digits") as caught:
        parse_amount(n, where="$")
    assert caught.value.code == "out_of_range"
