"""The wire forms: rows and stream records as MessagePack, updates and views as JSON. All carry a version.

A process that meets a version above its own must leave the thing for one that knows it: `NewerVersion` says so, and is
answered by trying again later, never by a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from playerstate.core.model import Key, Notice, Update
from playerstate.core.numbers import pack, unpack_extension
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec, Schema, TypeName
from playerstate.core.types import DATA_TYPES
from playerstate.core.types.arguments import check_json
from playerstate.errors import InvalidUpdate, InvariantViolated, Unavailable

ROW_VERSION = 1
RECORD_VERSION = 1
TIME_MAX_MS = 2**53
"""The latest time that a record may have been accepted at: stamps made of it fit into a row."""


class NewerVersion(Unavailable):
    """Written by a newer version of the program or of the schema."""


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the stream carries: the updates of one call for one player, in order, and when accept took them (ms)."""

    wire_version: int
    accepted_at: int
    updates: list[Update]


class _Version(msgspec.Struct, array_like=True):
    """The part of every form that will never change."""

    wire_version: int


class _Header(_Version, array_like=True):
    type: str
    schema_version: int


class _RecordHead(_Version, array_like=True):
    accepted_at: int


class _RawRecord(msgspec.Struct, array_like=True, gc=False):
    wire_version: int
    accepted_at: int
    updates: list[msgspec.Raw]


def encode_row(row: Row[Any]) -> bytes:
    """A row as MessagePack."""
    return pack(row)


class RowReader:
    """Decodes the rows of one key."""

    def __init__(self, spec: KeySpec, schema_version: int) -> None:
        self._type = spec.type
        self._schema_version = schema_version
        self._decode = _row_decoder(spec.type).decode

    def decode(self, data: bytes) -> Row[Any]:
        """The row.

        Raises `NewerVersion` for one that this process does not know, `InvariantViolated` for one that nobody wrote.
        """
        try:
            row: Row[Any] = self._decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            self._refuse_newer(data)
            raise InvariantViolated(f"a stored {self._type} row cannot be read: {exc}") from exc
        if row.wire_version != ROW_VERSION or row.schema_version > self._schema_version:
            self._refuse_newer(data)
            raise InvariantViolated(f"there is no row of form {row.wire_version}")
        if row.type != self._type:
            raise InvariantViolated(f"a row of type {row.type} is stored where the schema says {self._type}")
        return row

    def _refuse_newer(self, data: bytes) -> None:
        version = _wire_version(data)
        if version > ROW_VERSION:
            raise NewerVersion(f"a row has form {version}, this process knows {ROW_VERSION}")
        try:
            header = msgspec.msgpack.decode(data, type=_Header)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return
        if header.schema_version > self._schema_version:
            raise NewerVersion(
                f"a row has schema version {header.schema_version}, this process knows {self._schema_version}"
            )


class RowHead(_Header, array_like=True):
    """What every form of a row begins with, whatever its type."""

    written_at: int
    epoch: int
    vector: dict[str, int]


_row_head_decoder = msgspec.msgpack.Decoder(RowHead)


def read_row_head(data: bytes) -> RowHead:
    """The beginning of a row, for those who carry it. Raises `InvariantViolated` for one that nobody wrote."""
    try:
        return _row_head_decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise InvariantViolated(f"a stored row cannot be read: {exc}") from exc


def row_readers(schema: Schema) -> dict[str, RowReader]:
    """A reader for every key of the schema."""
    return {name: RowReader(spec, schema.version) for name, spec in schema.keys.items()}


def encode_update(update: Update) -> bytes:
    """An update as MessagePack; amounts beyond 64 bits as decimal text, which they may be anyway."""
    try:
        try:
            return msgspec.msgpack.encode(update)
        except OverflowError:
            return msgspec.msgpack.encode(_with_text_amounts(update))
    except OverflowError as exc:
        raise InvalidUpdate("A number is out of range", code="out_of_range") from exc
    except (UnicodeError, RecursionError, TypeError) as exc:
        raise InvalidUpdate(f"The update cannot be encoded: {exc}", code="malformed") from exc


def encode_record(accepted_at: int, updates: Sequence[bytes]) -> bytes:
    """A stream record of updates that `encode_update` encoded."""
    return msgspec.msgpack.encode(_RawRecord(RECORD_VERSION, accepted_at, [msgspec.Raw(update) for update in updates]))


def _with_text_amounts(update: Update) -> Update:
    """The update with its largest amounts as text, which they may be anyway."""
    ops = [
        msgspec.structs.replace(
            op,
            n=_text_if_large(op.n),
            items=op.items if op.items is UNSET else {item: _text_if_large(n) for item, n in op.items.items()},
            value=_text_if_large(op.value),  # of a max or min register
        )
        for op in update.ops
    ]
    return msgspec.structs.replace(update, ops=ops)


def _text_if_large(n: Any) -> Any:
    return str(n) if type(n) is int and not -(2**63) <= n < 2**63 else n


_record_decoder = msgspec.msgpack.Decoder(Record, ext_hook=unpack_extension)
_raw_record_decoder = msgspec.msgpack.Decoder(_RawRecord)
_update_decoder = msgspec.msgpack.Decoder(Update, ext_hook=unpack_extension)
_json_update_decoder = msgspec.json.Decoder(Update)


def decode_record(data: bytes) -> tuple[int, list[Update | InvalidUpdate], list[bytes]]:
    """When a record was accepted, its updates, and each one's own bytes where some of them cannot be read.

    One bad update does not spoil the others: it stands in the list as the error that it is. Raises `InvalidUpdate` if
    the record itself cannot be read, `NewerVersion` if it is of a later form.
    """
    try:
        record = _record_decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _decode_one_by_one(data)
    if record.wire_version != RECORD_VERSION:
        raise _record_version_error(record.wire_version)
    return _checked_time(record.accepted_at), list(record.updates), []


_record_head_decoder = msgspec.msgpack.Decoder(_RecordHead)


def read_accepted_at(data: bytes) -> int | None:
    """When a record was accepted (ms); None for something that is no record."""
    try:
        return _record_head_decoder.decode(data).accepted_at
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _decode_one_by_one(data: bytes) -> tuple[int, list[Update | InvalidUpdate], list[bytes]]:
    version = _wire_version(data)
    if version > RECORD_VERSION:
        raise _record_version_error(version)
    raw = decode_or_refuse(_raw_record_decoder, data, "record")
    if raw.wire_version != RECORD_VERSION:
        raise _record_version_error(raw.wire_version)
    updates: list[Update | InvalidUpdate] = []
    bodies: list[bytes] = []
    for body in raw.updates:
        bodies.append(bytes(body))
        try:
            updates.append(decode_or_refuse(_update_decoder, bytes(body), "update"))
        except InvalidUpdate as exc:
            updates.append(exc)
    return _checked_time(raw.accepted_at), updates, bodies


def _checked_time(accepted_at: int) -> int:
    if not 0 <= accepted_at <= TIME_MAX_MS:
        raise InvalidUpdate(f"Expected a time of 0 to {TIME_MAX_MS} ms", code="out_of_range", where="$[1]")
    return accepted_at


def _wire_version(data: bytes) -> int:
    """The version that any form begins with; 0 if there is none."""
    try:
        return msgspec.msgpack.decode(data, type=_Version).wire_version
    except (msgspec.DecodeError, ValueError, RecursionError):
        return 0


def decode_any_updates(body: bytes) -> list[Update]:
    """The updates of a dead letter's body: a record, or one update's own bytes. Raises `InvalidUpdate`."""
    try:
        _, updates, _ = decode_record(body)
    except InvalidUpdate:
        return [decode_or_refuse(_update_decoder, body, "update")]
    for update in updates:
        if isinstance(update, InvalidUpdate):
            raise update
    return [update for update in updates if isinstance(update, Update)]


def _record_version_error(version: int) -> Exception:
    if version > RECORD_VERSION:
        return NewerVersion(f"a record has form {version}, this process knows {RECORD_VERSION}")
    return InvalidUpdate(f"There is no record form {version}", code="malformed", where="$[0]")


def decode_json_update(line: bytes | str) -> Update:
    """An update as clients send it. Raises `InvalidUpdate`."""
    return decode_or_refuse(_json_update_decoder, line, "update")


def check_values(update: Update) -> None:
    """Raise `InvalidUpdate` where a value that was built in Python is no JSON."""
    ops: object = update.ops  # an `Update` that was built in Python may hold anything
    for index, op in enumerate(ops if isinstance(ops, list) else ()):
        value = getattr(op, "value", UNSET)
        if value is not UNSET and type(value) is not int:  # a number's range is its key's affair
            check_json(value, f"$.ops[{index}].value")


def decode_packed_update(body: bytes) -> Update:
    """What `encode_update` encoded. Raises `InvalidUpdate`."""
    update: Update = decode_or_refuse(_update_decoder, body, "update")
    return update


def convert_update(data: object) -> Update:
    """An update given as Python data: a dict, or an `Update`, whose types nobody has checked.

    Raises `InvalidUpdate`.
    """
    try:
        if isinstance(data, Update):
            check_values(data)
            return decode_packed_update(encode_update(data))
        update = msgspec.convert(data, Update)
        check_values(update)
    except msgspec.ValidationError as exc:
        raise _translated(exc) from exc
    except RecursionError as exc:
        raise InvalidUpdate("The update is nested too deep", code="too_deep") from exc
    return update


def decode_or_refuse(decoder: Any, data: bytes | str, what: str) -> Any:
    """Decode, with the decoder's complaint translated to `InvalidUpdate`."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as exc:
        raise _translated(exc) from exc
    except UnicodeError as exc:
        raise InvalidUpdate(f"The {what} is not UTF-8", code="not_utf8") from exc
    except RecursionError as exc:
        raise InvalidUpdate(f"The {what} is nested too deep", code="too_deep") from exc
    except (msgspec.DecodeError, ValueError) as exc:
        raise InvalidUpdate(f"The {what} is malformed: {exc}", code="malformed") from exc


def _translated(exc: msgspec.ValidationError) -> InvalidUpdate:
    message, _, path = str(exc).partition(" - at `")
    message = message.replace("`None`", "`null`")  # what MessagePack's decoder calls it
    return InvalidUpdate(message, code="wrong_shape", where=path.rstrip("`") or "$")


@cache
def _row_decoder(type_name: TypeName) -> msgspec.msgpack.Decoder[Any]:
    row_type: Any = Row
    return msgspec.msgpack.Decoder(row_type[DATA_TYPES[type_name].state_type], ext_hook=unpack_extension)


class Call(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """A key that the resolver is to look at, and how often it has tried in vain."""

    player_id: str
    state_key: str
    attempts: int = 0

    @property
    def key(self) -> Key:
        """The key."""
        return Key(self.player_id, self.state_key)


_call_decoder = msgspec.json.Decoder(Call)


def encode_call(key: Key, attempts: int = 0) -> bytes:
    """A message to the resolver."""
    return msgspec.json.encode(Call(*key, attempts))


def decode_call(body: bytes) -> Call:
    """What `encode_call` made. Raises `InvalidUpdate` for anything else."""
    call: Call = decode_or_refuse(_call_decoder, body, "message")
    return call


_notices_decoder = msgspec.json.Decoder(list[Notice])


def encode_notices(notices: list[Notice]) -> bytes:
    """A packed batch of notices, as JSON: other consumer groups are not all written in Python."""
    return join_notices([encode_notice(notice) for notice in notices])


def encode_notice(notice: Notice) -> bytes:
    """One notice, for `join_notices`."""
    return msgspec.json.encode(notice)


def join_notices(encoded: Sequence[bytes]) -> bytes:
    """What `encode_notices` gives, of notices that are encoded already."""
    return b"[%b]" % b",".join(encoded)


def decode_notices(body: bytes) -> list[Notice]:
    """What `encode_notices` packed. Raises `InvalidUpdate` for anything else."""
    notices: list[Notice] = decode_or_refuse(_notices_decoder, body, "message")
    return notices
