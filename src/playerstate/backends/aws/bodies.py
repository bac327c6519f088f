"""Bodies of messages, as SQS and SNS take them: text of certain characters, 256 KB at most with its attributes.

    text      -> as it is
    bytes     -> base64
    too large -> compressed (zlib), base64
    still so  -> an object elsewhere, of which the message has the name

The attribute `encoding` says which; text has none. A single notice may be large, for it has a key's value before and
after: that of a full row of 9,400 random ids has 730 KB, and 535 KB compressed. SQS alone would take 1 MiB by now, but
SNS does not, and both carry the same messages.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from playerstate.errors import InvalidUpdate

MESSAGE_BYTES_MAX = 262_144
"""Of one message with its attributes, and of all in one call."""
BODY_BYTES_MAX = 16 * 1024 * 1024
"""Of a body before it is compressed or put elsewhere."""

ENCODING = "encoding"

_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SQS takes in no message."""


class Encoding(StrEnum):
    """What has been done to a body."""

    TEXT = ""
    BASE64 = "base64"
    DEFLATE = "deflate"
    """zlib, then base64."""
    ELSEWHERE = "elsewhere"
    """What is sent is the name of an object."""


class Packed(NamedTuple):
    """A body as it is sent, with its attributes and their size together."""

    text: str
    attributes: Mapping[str, Any]
    size_bytes: int


class Overflow(Protocol):
    """Where bodies lie that are too large for a message. An object has to outlive every message that names it."""

    def put(self, body: bytes) -> str:
        """Keep a body and return its name, the same for the same body. Raises `NotNow`."""
        ...

    def get(self, name: str) -> bytes | None:
        """The body of that name; None if there is none. Raises `NotNow`."""
        ...


def pack(bodies: Sequence[bytes], attributes: Mapping[str, str], overflow: Overflow | None) -> list[Packed]:
    """All bodies as they are sent, each with these attributes besides its own.

    Raises `InvalidUpdate`, code `too_large`, for one that does not fit into a message where there is no `overflow`.
    """
    return [_packed(body, attributes, overflow, f"$[{index}]") for index, body in enumerate(bodies)]


def unpack(text: str, encoding: str, overflow: Overflow | None) -> bytes:
    """The body that was packed, by its text and its attribute `encoding`, empty where it has none.

    Raises `NotNow` where it lies elsewhere and cannot be had now.

    What cannot be read, because nobody here has packed it, comes as it is: whoever takes the message will see that it
    is none.
    """
    as_it_is = text.encode("utf-8", "replace")  # JSON may bring half a character
    try:
        match encoding:
            case Encoding.BASE64:
                return base64.b64decode(text, validate=True)
            case Encoding.DEFLATE:
                unpacker = zlib.decompressobj()
                body = unpacker.decompress(base64.b64decode(text, validate=True), BODY_BYTES_MAX)
                return body if unpacker.eof else as_it_is
            case Encoding.ELSEWHERE:
                found = overflow.get(text) if overflow else None
                return as_it_is if found is None else found
    except (binascii.Error, ValueError, zlib.error):
        return as_it_is
    return as_it_is


def _packed(body: bytes, attributes: Mapping[str, str], overflow: Overflow | None, where: str) -> Packed:
    if len(body) > BODY_BYTES_MAX:
        raise _too_large(body, BODY_BYTES_MAX, where)
    plain = _with_attributes(*_plain(body), attributes)
    if plain.text and plain.size_bytes <= MESSAGE_BYTES_MAX:
        return plain
    compressed = _with_attributes(_base64(zlib.compress(body)), Encoding.DEFLATE, attributes)
    if compressed.size_bytes <= MESSAGE_BYTES_MAX:
        return compressed
    if overflow is None:
        raise _too_large(body, MESSAGE_BYTES_MAX, where)
    return _with_attributes(overflow.put(body), Encoding.ELSEWHERE, attributes)


def _too_large(body: bytes, bytes_max: int, where: str) -> InvalidUpdate:
    words = f"The message has {len(body)} bytes, which do not fit into {bytes_max}"
    return InvalidUpdate(words, code="too_large", where=where)


def _plain(body: bytes) -> tuple[str, Encoding]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _base64(body), Encoding.BASE64
    return (_base64(body), Encoding.BASE64) if _REFUSED.search(text) else (text, Encoding.TEXT)


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def _with_attributes(text: str, encoding: Encoding, attributes: Mapping[str, str]) -> Packed:
    said = {**attributes, ENCODING: encoding.value} if encoding else attributes
    size = len(text.encode()) + sum([len(name.encode()) + len("String") + len(s.encode()) for name, s in said.items()])
    return Packed(text, {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}, size)
