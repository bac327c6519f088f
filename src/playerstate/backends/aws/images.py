"""Records of a DynamoDB stream as changes of rows. Pure: Lambda functions and readers of shards share it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from playerstate.backends.aws.rows import BODY, PLACE, PLAYER, VERSION, split_place
from playerstate.core.model import Key
from playerstate.errors import InvalidUpdate
from playerstate.ports.store import Change


def decode_change(record: Mapping[str, Any]) -> Change:
    """The change that a record tells of: `record` is its part `dynamodb`, from Lambda's JSON or from the API.

    The position is the sequence number, which rises within a shard. Raises `InvalidUpdate` for what is no write of a
    row, with the code `row_removed` where an item has gone, `no_images` where the stream is not one of old and new
    images, and `not_a_row` for every other shape.
    """
    key, region = _key(record)
    new = record.get("NewImage")
    if new is None:
        if record.get("OldImage") is None:
            raise InvalidUpdate("The record has no images", code="no_images", where="$.NewImage")
        raise InvalidUpdate("A row was deleted, which nothing here does", code="row_removed", where="$.NewImage")
    old = record.get("OldImage")
    return Change(
        _position(record.get("SequenceNumber")),
        key,
        region,
        None if old is None else _body(old, "$.OldImage"),
        _body(new, "$.NewImage"),
    )


def _key(record: Mapping[str, Any]) -> tuple[Key, str]:
    where = "$.Keys"
    keys = record.get("Keys")
    player_id = _attribute(keys, PLAYER, "S", where)
    place = _attribute(keys, PLACE, "S", where)
    if not isinstance(player_id, str) or not isinstance(place, str) or not player_id:
        raise _not_a_row(where)
    try:
        state_key, region = split_place(place)
    except ValueError as exc:
        raise _not_a_row(f"{where}.{PLACE}") from exc
    return Key(player_id, state_key), region


def _position(number: object) -> int:
    if not isinstance(number, str) or not (number.isascii() and number.isdigit()):
        raise _not_a_row("$.SequenceNumber")
    return int(number)


def _body(image: object, where: str) -> bytes:
    """The row in an image: bytes as they are, or as base64 where they came through JSON."""
    if not isinstance(_attribute(image, VERSION, "S", where), str):
        raise _not_a_row(f"{where}.{VERSION}")
    body = _attribute(image, BODY, "B", where)
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    try:
        if isinstance(body, str):
            return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _not_a_row(f"{where}.{BODY}") from exc
    raise _not_a_row(f"{where}.{BODY}")


def _attribute(image: object, name: str, of_type: str, where: str) -> object:
    """An attribute's value, if it is there and alone of that type."""
    typed = image.get(name) if isinstance(image, Mapping) else None
    if not isinstance(typed, Mapping) or len(typed) != 1 or of_type not in typed:
        raise _not_a_row(f"{where}.{name}")
    return typed[of_type]


def _not_a_row(where: str) -> InvalidUpdate:
    return InvalidUpdate("The record is not of a row", code="not_a_row", where=where)
