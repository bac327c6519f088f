"""What goes over a node's socket: frames of a 4-byte length (big endian) and that many bytes.

A request is MessagePack. A reply is MessagePack too: `[ok, body]`, where `body` is the result as JSON, or the error. A
watch is answered with many replies, until either side goes.
"""

from __future__ import annotations

import socket
from typing import Any, TypeAlias

import msgspec

from playerstate.core.letters import EVERY, LetterFilter
from playerstate.core.model import Identity, Json
from playerstate.core.types.arguments import check_json
from playerstate.core.wire import convert_update, decode_or_refuse
from playerstate.errors import (
    InvalidUpdate,
    InvariantViolated,
    OutcomeUnknown,
    PlayerStateError,
    SearchTooWide,
    SlowDown,
    Unavailable,
)

FRAME_BYTES_MAX = 64 * 1024 * 1024


class SendMany(msgspec.Struct, tag=True):
    """`send_many`, of updates as JSON text."""

    updates: list[bytes]


class OutcomeOf(msgspec.Struct, tag=True):
    """`outcome`."""

    identity: Identity
    wait_s: float


class Get(msgspec.Struct, tag=True):
    """`get`."""

    player_id: str
    state_key: str


class GetPlayer(msgspec.Struct, tag=True):
    """`get_player`."""

    player_id: str


class Watch(msgspec.Struct, tag=True):
    """`watch`."""

    player_id: str
    timeout_s: float


class History(msgspec.Struct, tag=True):
    """`history`."""

    player_id: str
    state_key: str | None
    since: int | None
    before: int | None
    outcome: str | None
    producer: str | None
    limit: int
    everywhere: bool


class ListDeadLetters(msgspec.Struct, tag=True):
    """`dead_letters`."""

    after: str
    limit: int
    where: LetterFilter = EVERY


class SendAgain(msgspec.Struct, tag=True):
    """`send_again`."""

    letter_id: str


class SetValue(msgspec.Struct, tag=True):
    """`set_value`, of a value as JSON text."""

    player_id: str
    state_key: str
    value: bytes
    reason: str
    dry_run: bool


class Undo(msgspec.Struct, tag=True):
    """`undo`."""

    identity: Identity
    reason: str
    dry_run: bool


class Discard(msgspec.Struct, tag=True):
    """`discard`."""

    letter_id: str
    reason: str


class ListGoneLetters(msgspec.Struct, tag=True):
    """`gone_letters`."""

    after: int
    limit: int
    where: LetterFilter = EVERY


class GetGoneLetter(msgspec.Struct, tag=True):
    """`gone_letter`."""

    letter_id: str


class Erase(msgspec.Struct, tag=True):
    """`erase`."""

    player_id: str
    reason: str


class GetExport(msgspec.Struct, tag=True):
    """`export`."""

    player_id: str


class Verify(msgspec.Struct, tag=True):
    """`verify`."""

    cursor: str
    keys: int
    sample: bool
    repair: bool


class ListFindings(msgspec.Struct, tag=True):
    """`findings`."""

    player_id: str | None
    before: str | None
    limit: int


class Neighbours(msgspec.Struct, tag=True):
    """`neighbours`."""

    player_id: str
    label: str


class FriendsOfFriends(msgspec.Struct, tag=True):
    """`friends_of_friends`."""

    player_id: str
    label: str
    limit: int


class ShortestPath(msgspec.Struct, tag=True):
    """`shortest_path`."""

    start: str
    end: str
    label: str
    edges_max: int


class Drain(msgspec.Struct, tag=True):
    """`drain`."""

    timeout_s: float


class GetStats(msgspec.Struct, tag=True):
    """`stats`."""


class GetAlarms(msgspec.Struct, tag=True):
    """`alarms`."""


class GetSettings(msgspec.Struct, tag=True):
    """`settings`."""


class GetSchema(msgspec.Struct, tag=True):
    """`schema`."""


Request: TypeAlias = (
    SendMany
    | OutcomeOf
    | Get
    | GetPlayer
    | Watch
    | History
    | ListDeadLetters
    | SendAgain
    | SetValue
    | Undo
    | Discard
    | ListGoneLetters
    | GetGoneLetter
    | Erase
    | GetExport
    | Verify
    | ListFindings
    | Neighbours
    | FriendsOfFriends
    | ShortestPath
    | Drain
    | GetStats
    | GetAlarms
    | GetSettings
    | GetSchema
)


_decoder_of_json = msgspec.json.Decoder()


class Reply(msgspec.Struct, array_like=True):
    """`body` is JSON: the result, or a `Problem`."""

    ok: bool
    body: bytes


class Problem(msgspec.Struct):
    """An error on its way to the caller."""

    kind: str
    message: str
    code: str = ""
    where: str = ""
    retry_after_s: float = 0.0


_ERRORS: dict[str, type[PlayerStateError]] = {
    error.__name__: error for error in (Unavailable, OutcomeUnknown, InvariantViolated, SearchTooWide, PlayerStateError)
}


def problem_of(error: PlayerStateError) -> Problem:
    """What is told of an error."""
    if isinstance(error, InvalidUpdate):
        return Problem("InvalidUpdate", error.message, error.code, error.where)
    if isinstance(error, SlowDown):
        return Problem("SlowDown", str(error), retry_after_s=error.retry_after_s)
    known = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
    return Problem(known, str(error))


def error_of(problem: Problem) -> PlayerStateError:
    """The error that was told of."""
    if problem.kind == "InvalidUpdate":
        return InvalidUpdate(problem.message, code=problem.code, where=problem.where)
    if problem.kind == "SlowDown":
        return SlowDown(problem.message, retry_after_s=problem.retry_after_s)
    return _ERRORS.get(problem.kind, PlayerStateError)(problem.message)


def text_of(update: object) -> bytes:
    """An update in any form that the API takes, as JSON text. Raises `InvalidUpdate` for one that is none."""
    if isinstance(update, bytes):
        return update
    if isinstance(update, str):
        return update.encode("utf-8", "surrogatepass")
    try:
        return msgspec.json.encode(convert_update(update))
    except UnicodeError as exc:
        raise InvalidUpdate("The text is not valid Unicode", code="bad_text") from exc


def json_of(value: Json) -> bytes:
    """A value as JSON text. Raises `InvalidUpdate` for one that is none."""
    check_json(value, "$.value")
    return msgspec.json.encode(value)


def value_of(text: bytes) -> Json:
    """What `json_of` encoded. Raises `InvalidUpdate` for anything else."""
    value: Json = decode_or_refuse(_decoder_of_json, text, "value")
    return value


def send_frame(connection: socket.socket, message: Any) -> None:
    """Send one frame."""
    body = msgspec.msgpack.encode(message)
    connection.sendall(len(body).to_bytes(4, "big") + body)


def receive_frame(connection: socket.socket) -> bytes | None:
    """The next frame's bytes; None at the end. Raises `ConnectionError` if the end comes in the middle."""
    header = _receive(connection, 4, at_start=True)
    if header is None:
        return None
    size = int.from_bytes(header, "big")
    if size > FRAME_BYTES_MAX:
        raise ConnectionError(f"a frame of {size} bytes is too large")
    return _receive(connection, size, at_start=False)


def _receive(connection: socket.socket, size: int, *, at_start: bool) -> bytes | None:
    chunks: list[bytes] = []
    missing = size
    while missing:
        chunk = connection.recv(min(missing, 1 << 20))
        if not chunk:
            if at_start and missing == size:
                return None
            raise ConnectionError("the connection ended in the middle of a frame")
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)
