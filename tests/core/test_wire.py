"""The wire forms: later versions are left alone, and nothing that comes in ends in anything but `InvalidUpdate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bad_input import BAD, GAME
from core.cluster import NOW_MS, SCHEMA, Cluster, op, update
from core.test_check import GOOD
from playerstate.core.check import Checker
from playerstate.core.model import Key, Op, Update
from playerstate.core.wire import (
    NewerVersion,
    RowReader,
    convert_update,
    decode_any_updates,
    decode_json_update,
    decode_notices,
    decode_record,
    encode_record,
    encode_update,
    row_readers,
)
from playerstate.errors import InvalidUpdate, InvariantViolated

CHECKER = Checker(GAME)
pack = msgspec.msgpack.encode


def packed(data: Any) -> bytes:
    try:
        return pack(data)
    except OverflowError:
        return b""


@pytest.fixture
def row() -> list[Any]:
    """A stored row, as plain data."""
    cluster = Cluster()
    cluster.send("a", update(op("name", "set", value="x")))
    fields: list[Any] = msgspec.msgpack.decode(cluster.stores["a"][Key("anna", "name")]["a"])
    return fields


READER: RowReader = row_readers(SCHEMA)["name"]


@pytest.mark.parametrize("body", [[2, "name", 1], [2, "name", 1, {"all": "new"}, "fields"], [2, {}, []]])
def test_a_row_of_a_later_form_is_left_alone(body: Any) -> None:
    """Whatever it looks like behind its version: it is tried again by one that knows it."""
    with pytest.raises(NewerVersion, match="a row has form 2, this process knows 1"):
        READER.decode(pack(body))


def test_a_row_of_a_later_schema_is_left_alone(row: list[Any]) -> None:
    """Even where this process could read it, or where the key has another type there."""
    row[2] = 2
    with pytest.raises(NewerVersion, match="a row has schema version 2, this process knows 1"):
        READER.decode(pack(row))
    with pytest.raises(NewerVersion, match="a row has schema version 2, this process knows 1"):
        READER.decode(pack([*row[:1], "set", *row[2:]]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"hello",
        pack([1]),
        pack({}),
        pack([1, "register", 1, 0, 0, {}, [], {}, []]),
        pack([0] * 9),
        pack([0, "register", 1, 0, 0, {}, {}, {}, []]),
    ],
)
def test_bytes_that_are_no_row_break_an_invariant(body: bytes) -> None:
    """Nobody wrote them, so a person must look."""
    with pytest.raises(InvariantViolated, match="row"):
        READER.decode(body)


def test_a_row_of_another_type_breaks_an_invariant(row: list[Any]) -> None:
    """The schema may not change a key's type."""
    row[1] = "map"
    with pytest.raises(InvariantViolated, match="of type map is stored where the schema says register"):
        READER.decode(pack(row))


def test_a_row_that_is_nested_without_end_breaks_an_invariant() -> None:
    """It is as unreadable as any."""
    head, nested, tail = pack([1, "bounded_counter", 1, 0, 0, {"a": 1}]), b"\x81\xa1a" + b"\x91" * 5000, pack([{}, []])
    body = b"\x99" + head[1:] + nested + b"\x01" + tail[1:]
    with pytest.raises(InvariantViolated, match="row"):
        row_readers(SCHEMA)["gold"].decode(body)


@given(st.binary(max_size=64) | st.recursive(st.integers() | st.text(), st.lists).map(packed))
def test_any_bytes_are_a_row_or_an_error(body: bytes) -> None:
    """Of the two kinds that stages handle."""
    for reader in row_readers(SCHEMA).values():
        with pytest.raises((InvariantViolated, NewerVersion)):
            reader.decode(body)


@pytest.mark.parametrize("body", [[2, NOW_MS, []], [2, {"later": "form"}]])
def test_a_record_of_a_later_form_is_left_alone(body: Any) -> None:
    """It is never a dead letter."""
    with pytest.raises(NewerVersion, match="a record has form 2, this process knows 1"):
        decode_record(pack(body))


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"hello", pack([1]), pack([0, NOW_MS, []]), pack({}), pack([1, NOW_MS, {}]), b"\x91" * 5000]
)
def test_bytes_that_are_no_record_are_refused(body: bytes) -> None:
    """As one thing, since it cannot be told where its updates are."""
    with pytest.raises(InvalidUpdate):
        decode_record(body)


@pytest.mark.parametrize("accepted_at", [-1, 2**53 + 1, 2**64 - 1])
def test_a_record_was_accepted_at_a_time(accepted_at: int) -> None:
    """A stamp that is made of it must fit into a row."""
    with pytest.raises(InvalidUpdate, match=r"Expected a time of 0 to .* ms - at `\$\[1\]`"):
        decode_record(pack([1, accepted_at, []]))


def test_a_bad_update_does_not_spoil_the_others_of_its_record() -> None:
    """It stands among them as the error that it is, and its bytes can be kept."""
    good = update(op("score", "add", n=1))
    bodies = [encode_update(good), pack({"ops": "none"}), pack(7), encode_update(good)]
    accepted_at, updates, kept = decode_record(encode_record(NOW_MS, bodies))
    assert (accepted_at, kept) == (NOW_MS, bodies)
    assert [type(u) for u in updates] == [Update, InvalidUpdate, InvalidUpdate, Update]
    assert updates[0] == updates[3] == good
    assert [u.where for u in updates if isinstance(u, InvalidUpdate)] == ["$.ops", "$"]


@pytest.mark.parametrize("n", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**38 - 1])
def test_amounts_beyond_64_bits_survive_the_stream(n: int) -> None:
    """They travel as decimal text where MessagePack has no number for them."""
    ops = [op("score", "add", n=n), op("bag", "replace", items={"gem": abs(n)}), op("best", "set", value=n)]
    _, (again,), _ = decode_record(encode_record(NOW_MS, [encode_update(update(*ops))]))
    assert isinstance(again, Update)
    assert [int(again.ops[0].n), int(again.ops[1].items["gem"]), int(again.ops[2].value)] == [n, abs(n), n]


def test_a_dead_letter_s_body_gives_its_updates_back() -> None:
    """A whole record's, or one update's own; a bad one is refused as it was."""
    good = update(op("score", "add", n=1))
    assert decode_any_updates(encode_update(good)) == [good]
    assert decode_any_updates(encode_record(NOW_MS, [encode_update(good)] * 2)) == [good, good]
    with pytest.raises(InvalidUpdate):
        decode_any_updates(encode_record(NOW_MS, [encode_update(good), b"\xc0"]))
    with pytest.raises(InvalidUpdate):
        decode_any_updates(b"hello")


@pytest.mark.parametrize(
    "update",
    [
        Update("abc"),
        Update([1]),
        Update([Op(1, "score", "add", n=1)]),
        Update([Op("anna", ["score"], "add", n=1)]),
        Update([Op("anna", "score", "add", n=1)], sequence="1"),
        Update([Op("anna", "score", "add", n=1)], seen=5),
        Update([Op("anna", "bag", "replace", items=[1])]),
        Update([Op("anna", "name", "set", n=1.5)]),
    ],
)
def test_an_update_built_in_python_is_read_like_any_other(update: Update) -> None:
    """Nothing has checked the types of what it was built from."""
    with pytest.raises(InvalidUpdate):
        convert_update(update)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
python_values = json_values | st.binary() | st.datetimes() | st.sets(st.integers()) | st.just(object())
fields = st.sampled_from(["ops", "producer", "sequence", "sent_at", "seen", "if_version", "extra"])
op_fields = st.sampled_from(["player_id", "state_key", "op", "n", "item", "items", "elements", "field", "value", "x"])
odd = st.sampled_from(["\ud800", "\0", "{", "", "1" * 39, 2**70, 10**38, -(2**64), "x" * 129])
names = st.sampled_from(["add", "set", "remove", "replace", "enable", *GAME.keys]) | odd | python_values
ops = st.dictionaries(op_fields, names | python_values, max_size=6)
junk = st.dictionaries(fields, st.lists(ops, max_size=3) | python_values, max_size=5) | python_values
examples = st.sampled_from([*GOOD, *(bad.data for bad in BAD if bad.what != "10,000 operations")])


@st.composite
def mutated(draw: st.DrawFn, encode: Callable[[Any], bytes]) -> bytes:
    """The encoding of an example with bytes changed, put in, and taken out."""
    body = bytearray(encode(draw(examples)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(body)


def read(decode: Callable[[], Any]) -> None:
    """Take it or refuse it: what is taken can be checked, put on the stream, and read from there again."""
    try:
        update = decode()
        CHECKER.check(update)
        body = encode_update(update)
    except InvalidUpdate:
        return
    _, (again,), _ = decode_record(encode_record(NOW_MS, [body]))
    assert isinstance(again, Update)
    CHECKER.check(again)


@given(st.binary() | st.text() | mutated(msgspec.json.encode))
def test_no_text_stops_accept(line: bytes | str) -> None:
    """Raw bytes, texts, and good and bad updates with something changed."""
    read(lambda: decode_json_update(line))


@given(junk | examples)
def test_no_python_data_stops_accept(data: Any) -> None:
    """Whatever a caller puts where an update or a part of it belongs."""
    read(lambda: convert_update(data))


@given(st.binary() | mutated(lambda data: packed([1, NOW_MS, [data]])))
def test_no_record_stops_apply(body: bytes) -> None:
    """Straight from the stream: an update that is taken can be checked."""
    try:
        _, updates, _ = decode_record(body)
    except (InvalidUpdate, NewerVersion):
        return
    for found in updates:
        if isinstance(found, Update):
            read(lambda found=found: found)


@given(st.binary() | json_values.map(packed))
def test_no_message_stops_a_consumer_group(body: bytes) -> None:
    """A queue's message that is no packed notices."""
    try:
        decode_notices(body)
    except InvalidUpdate:
        return
