"""Bad input: what is refused, with which code, where, and in which words; the same words on every way in."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec
import pytest

from core.bad_input import BAD, GAME, NUMBER, OP, Bad, nested, one, player, whole
from core.cluster import NOW_MS
from playerstate.core.check import Checker, check_client_producer, check_player_id, check_times
from playerstate.core.model import Json, Op, Update
from playerstate.core.producers import RETENTION_MS
from playerstate.core.schema import parse_schema
from playerstate.core.wire import convert_update, decode_json_update, decode_record, encode_record, encode_update
from playerstate.errors import InvalidUpdate

CHECKER = Checker(GAME)


def from_json(data: Json) -> Update:
    return decode_json_update(msgspec.json.encode(data))


def from_text(data: Json) -> Update:
    return decode_json_update(msgspec.json.encode(data).decode())


def from_record(data: Json) -> Update:
    """As anything may lie on the stream."""
    accepted_at, (update,), bodies = decode_record(msgspec.msgpack.encode([1, NOW_MS, [data]]))
    assert accepted_at == NOW_MS
    if isinstance(update, InvalidUpdate):
        assert bodies == [msgspec.msgpack.encode(data)]
        raise update
    return update


def through_stream(data: Json) -> Update:
    """As accept puts it on the stream, and apply takes it."""
    _, (update,), _ = decode_record(encode_record(NOW_MS, [encode_update(convert_update(data))]))
    assert isinstance(update, Update)
    return update


def check(update: Update) -> None:
    check_client_producer(update.producer)
    check_times(update, NOW_MS)
    CHECKER.check(update)


WAYS_IN = [from_json, from_text, convert_update, from_record]


def every_way_in(bad: Bad) -> list[Any]:
    return [pytest.param(bad, way, id=f"{bad.what} - {way.__name__}") for way in WAYS_IN]


@pytest.mark.parametrize(("bad", "read"), [param for bad in BAD for param in every_way_in(bad)])
def test_bad_input_is_refused_in_the_same_words_on_every_way_in(bad: Bad, read: Callable[[Json], Update]) -> None:
    """Promise 10: as JSON text, as Python data, and straight from the stream."""
    with pytest.raises(InvalidUpdate) as caught:
        check(read(bad.data))
    assert (caught.value.code, caught.value.where) == (bad.code, bad.where)
    assert str(caught.value).startswith(bad.message)
    assert (f" - at `{bad.where}`" in str(caught.value)) == (bad.where != "$"), "the whole needs no path"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (1, "k0"),
        (10, "k0, k1, k2, k3, k4, k5, k6, k7, k8, k9"),
        (11, "k0, k1, k2, k3, k4, k5, k6, k7, k8, k9 and 1 more"),
    ],
)
def test_whoever_names_an_unknown_key_hears_which_there_are(keys: int, told: str) -> None:
    """In the order of the schema, and no more than ten."""
    declared = "".join(f'[keys.k{n}]\ntype = "flag"\n' for n in range(keys))
    checker = Checker(parse_schema(f'[game]\nname = "x"\nversion = 1\n{declared}'))
    with pytest.raises(InvalidUpdate) as caught:
        checker.check(convert_update(one("k", "enable")))
    assert caught.value.message == f"The schema has no key 'k'; it has {told}"


GOOD = [
    whole(),
    whole(sequence=2**53),
    whole(sent_at=NOW_MS - RETENTION_MS),
    whole(sent_at=NOW_MS + 3_600_000),
    whole(seen="", if_version="us-east-1:12,eu-west-1:3"),
    whole(note="x" * 400),
    whole(if_versions=[["anna", "score", ""]]),
    whole(ops=whole()["ops"] * 25),
    player("Zoë 🗡 [clan]#1"),
    one("score", "add", n=-(10**38) + 1),
    one("score", "add", n="-" + "9" * 38),
    one("gold", "set", n=5),
    one("gold", "subtract", n=0),
    one("name", "set", value="x" * 12),
    one("name", "set", value=None),
    one("mode", "set", value=1),
    one("mode", "set", value=2.5),
    one("mood", "set", value=-1),
    one("rank", "set", value="50"),
    one("best", "set", value=10**38 - 1),
    one("titles", "set", value=nested(16)),
    one("titles", "set", value={"a": [True, None, -0.5, 2**53]}),
    one("online", "enable"),
    one("friends", "add", elements=["a", "a"]),
    one("settings", "set", field="x" * 128, value={}),
    one("settings", "remove", field="x"),
    one("bag", "replace", items={}),
    one("bag", "replace", items={"a": 0, "b": str(10**37)}),
    one("bag", "replace", items={"a": 10**37}),
]


@pytest.mark.parametrize("read", [from_json, from_text, convert_update, through_stream])
@pytest.mark.parametrize("data", GOOD, ids=range(len(GOOD)))
def test_good_input_is_taken(data: Json, read: Callable[[Json], Update]) -> None:
    """Up to the limits themselves, by every way in."""
    check(read(data))


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (b"", "malformed", "The update is malformed: Input data was truncated"),
        (b"hello", "malformed", "The update is malformed: JSON is malformed"),
        (b'{"ops": [{"player_id": "an', "malformed", "The update is malformed: Input data was truncated"),
        (b'{"ops": []} {"ops": []}', "malformed", "The update is malformed: JSON is malformed: trailing characters"),
        (b'{"ops": [], "producer": "\xff"}', "not_utf8", "The update is not UTF-8"),
        (b"\xef\xbb\xbf{}", "malformed", "The update is malformed: JSON is malformed"),
        (b'{"ops": [], "sequence": NaN}', "malformed", "The update is malformed: JSON is malformed"),
        (b'{"ops": [], "sequence": 1e999}', "wrong_shape", "Number out of range"),
        (b'{"ops": [], "sequence": 9' + b"9" * 5000 + b"}", "wrong_shape", "Integer value out of range"),
        (b"[" * 100_000, "wrong_shape", "Expected `object`, got `array`"),
        (
            b'{"ops": [{"player_id": "a", "state_key": "b", "op": "c", "value": ' + b"[" * 100_000,
            "too_deep",
            "The update is nested too deep",
        ),
    ],
)
def test_text_that_is_no_update(line: bytes, code: str, message: str) -> None:
    """A half-written line, bytes that are no text, numbers that JSON does not have."""
    with pytest.raises(InvalidUpdate) as caught:
        decode_json_update(line)
    assert caught.value.code == code
    assert str(caught.value).startswith(message)


class Colour(IntEnum):
    RED = 1


class OwnFloat(float):
    """Such as a number type of a library."""


@pytest.mark.parametrize(
    ("value", "code", "where", "message"),
    [
        (math.nan, "out_of_range", "", "NaN and infinities are not allowed"),
        ([-math.inf], "out_of_range", "[0]", "NaN and infinities are not allowed"),
        ({1, 2}, "bad_value", "", "Expected JSON, got set"),
        ((1, 2), "bad_value", "", "Expected JSON, got tuple"),
        (b"x", "bad_value", "", "Expected JSON, got bytes"),
        ({"a": object()}, "bad_value", ".a", "Expected JSON, got object"),
        ({1: 2}, "bad_value", "", "Expected a text as a name"),
        (Colour.RED, "bad_value", "", "Expected JSON, got Colour"),
        (OwnFloat(1), "bad_value", "", "Expected JSON, got OwnFloat"),
        ("\ud800", "bad_text", "", "The text is not valid Unicode"),
        ({"\ud800": 1}, "bad_text", "", "The text is not valid Unicode"),
    ],
)
def test_python_values_that_are_no_json(value: Any, code: str, where: str, message: str) -> None:
    """They are refused before anything tries to encode them."""
    with pytest.raises(InvalidUpdate) as caught:
        check(convert_update(one("titles", "set", value=value)))
    assert (caught.value.code, caught.value.where) == (code, f"{OP}.value{where}")
    assert str(caught.value).startswith(message)


def test_python_data_that_contains_itself_is_too_deep() -> None:
    """As if it had no end, which it has not."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidUpdate, match="nested deeper than 16 levels"):
        check(convert_update(one("titles", "set", value=value)))


@pytest.mark.parametrize("sent_at", [-1, 2**53 + 1, 2**63])
def test_a_time_straight_from_the_stream_is_checked_too(sent_at: int) -> None:
    """A stamp that is made of it must fit into a row."""
    with pytest.raises(InvalidUpdate, match=r"Expected a time of 0 to 9007199254740992 ms - at `\$.sent_at`"):
        CHECKER.check(from_record(whole(sent_at=sent_at)))


def test_true_is_no_amount() -> None:
    """Though to Python it is 1, in an operation that was not read from anywhere."""
    update = Update([Op("anna", "score", "add", n=True)], "game-1", 1, NOW_MS)
    with pytest.raises(InvalidUpdate, match=NUMBER):
        CHECKER.check(update)


@pytest.mark.parametrize("player_id", ["", "x" * 129, "a{", "a\x7f", "\ud800", 7, None])
def test_a_player_s_id_alone_is_checked_too(player_id: Json) -> None:
    """For reads."""
    with pytest.raises(InvalidUpdate) as caught:
        check_player_id(player_id)
    assert (caught.value.code, caught.value.where) == ("bad_name", "$.player_id")
