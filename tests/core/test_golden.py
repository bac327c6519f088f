"""Golden vectors: what was written by version 1 of every wire form is read, and written, as it was.

`golden/make.py` says what they are. A failure here means that stored rows or records in flight could not be read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from playerstate.core.model import Effect, View
from playerstate.core.producers import Irregular
from playerstate.core.schema import KeySpec, TypeName
from playerstate.core.types import DATA_TYPES
from playerstate.core.views import value_json
from playerstate.core.wire import (
    RowReader,
    decode_json_update,
    decode_notices,
    decode_packed_update,
    decode_record,
    encode_notices,
    encode_record,
    encode_row,
    encode_update,
)

TYPES = get_args(TypeName)
LATER = 1_700_000_000_001
REFUSALS = {10: "refused:insufficient", 11: "superseded"}


def golden(name: str) -> dict[str, dict[str, str]]:
    vectors: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text())
    return vectors


ROWS, UPDATES, RECORDS, NOTICES = (golden(name) for name in ("rows", "updates", "records", "notices"))


def says(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_there_is_a_vector_for_every_type_and_operation() -> None:
    """A new type needs one."""
    assert list(ROWS) == list(UPDATES) == list(TYPES)
    for name, data_type in DATA_TYPES.items():
        assert {op["op"] for op in json.loads(UPDATES[name]["says"])["ops"]} == set(data_type.arguments)


@pytest.mark.parametrize("name", TYPES)
def test_rows(name: TypeName) -> None:
    """Decoded they say what they said, readers see what they saw, and encoded they are the same bytes."""
    vector, spec = ROWS[name], KeySpec(type=name)
    row = RowReader(spec, 3).decode(bytes.fromhex(vector["hex"]))
    assert says(row) == json.loads(vector["says"])
    assert value_json(row.state, spec).decode() == vector["value"]
    assert encode_row(row).hex() == vector["hex"]


def test_fields_are_found_by_their_place() -> None:
    """Rows have no names of fields in them, so each name must stay with its place."""
    row = RowReader(KeySpec(type="counter"), 3).decode(bytes.fromhex(ROWS["counter"]["hex"]))
    assert (row.wire_version, row.type, row.schema_version, row.written_at, row.epoch) == (1, "counter", 3, LATER, 1)
    refused = row.because[1]
    assert (refused.n, refused.producer, refused.sequence) == (12, "game-8", 40)
    assert (refused.status, refused.reason, refused.of) == ("refused", "insufficient", ("bert", "gold"))
    applied = row.because[0]
    assert (applied.sent_at, applied.accepted_at, applied.effects) == (LATER - 10, LATER - 3, [Effect("add", 2**70)])
    part = row.memory["us-east-1"]
    seen = part.producers["game-8"]
    assert (part.horizon, seen.last, seen.sent_at) == (LATER - 172_800_001, 40, LATER - 1)
    assert seen.irregular == Irregular(floor=2, gaps=[(4, 6), (9, 9)], not_applied=REFUSALS)


@pytest.mark.parametrize("name", TYPES)
def test_updates(name: TypeName) -> None:
    """Both forms mean the same update, and it is written in both as it was."""
    vector = UPDATES[name]
    packed, given = decode_packed_update(bytes.fromhex(vector["hex"])), decode_json_update(vector["says"])
    assert encode_update(packed).hex() == encode_update(given).hex() == vector["hex"]
    assert msgspec.json.encode(given).decode() == vector["says"]
    assert [(op.key, op.op) for op in packed.ops] == [(op.key, op.op) for op in given.ops]


def test_records() -> None:
    """A record is its updates, as each was encoded alone."""
    body = bytes.fromhex(RECORDS["all"]["hex"])
    accepted_at, updates, bodies = decode_record(body)
    assert bodies == []
    packed = [bytes.fromhex(UPDATES[name]["hex"]) for name in TYPES]
    assert updates == [decode_packed_update(update) for update in packed]
    assert encode_record(accepted_at, packed) == body


def test_notices() -> None:
    """What other programs read, to the letter."""
    body = NOTICES["all"]["says"].encode()
    notices = decode_notices(body)
    assert [notice.state_key for notice in notices] == list(TYPES)
    assert encode_notices(notices) == body


def test_views() -> None:
    """The value stands in a view as it is, not as text."""
    view = View("anna", "gold", "us-east-1:12", msgspec.Raw(b'{"a":1}'))
    text = b'{"player_id":"anna","state_key":"gold","version":"us-east-1:12","value":{"a":1}}'
    assert msgspec.json.encode(view) == text
    assert msgspec.json.decode(text, type=View) == view


@pytest.mark.parametrize("name", TYPES)
def test_what_was_written_before_there_were_notes_is_read(name: TypeName) -> None:
    """Rows, updates and notices without them say what they said; what was not recorded is not known."""
    row = RowReader(KeySpec(type=name), 3).decode(bytes.fromhex(golden("before-notes/rows")[name]["hex"]))
    said = json.loads(golden("before-notes/rows")[name]["says"])
    now = says(row)
    assert [now[:-2], now[-1]] == [said[:-2], said[-1]]
    for cause, as_it_was in zip(row.because, said[-2], strict=True):
        assert says(cause)[: len(as_it_was)][6:] == as_it_was[6:]
        assert [effect[:6] for effect in says(cause)[5]] == as_it_was[5]
        assert (cause.others, cause.note) == (None, None)
        assert all(effect.idle is None for effect in cause.effects)
    update = UPDATES[name], golden("before-notes/updates")[name]
    packed, before = (decode_packed_update(bytes.fromhex(vector["hex"])) for vector in update)
    assert before == msgspec.structs.replace(packed, note=None, if_versions=None)
    assert encode_update(before).hex() == update[1]["hex"]
    (notice,) = [
        n for n in decode_notices(golden("before-notes/notices")["all"]["says"].encode()) if n.state_key == name
    ]
    assert [cause.note for cause in notice.because] == [None, None]
