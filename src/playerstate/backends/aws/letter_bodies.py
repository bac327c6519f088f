"""What fits into the items of a dead letter: DynamoDB takes 400 KB each, and streams and queues more than that. Pure.

What a letter held is kept whole if it fits, if need be compressed. Otherwise its beginning is kept, and the letter's
reason says how much there was, with a hash by which it can be known again elsewhere. Accept's own records are smaller:
so it is only what others have written that can be cut.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

import msgspec
from msgspec import structs

from playerstate.core.model import DeadLetter

BODY_BYTES_MAX = 350_000
"""As an item has it. The names of the item take the rest."""

COMPRESSED_BYTES_MAX = 2 * 1024 * 1024
"""A larger body is not compressed, however well that would do: whoever lists letters has all of them in memory."""

CUT_BYTES = 300_000
"""How much is kept of a body that does not fit."""

IDENTITY_BYTES_MAX = 250_000
"""A record has the identity too, and eleven go into a transaction, which takes 4 MB."""

REASON_LENGTH_MAX, NOTES_LENGTH_MAX = 10_000, 300
"""Of a reason, and of what is added to it here; a letter that was cut fits, so that it is not cut again."""

_encode = msgspec.msgpack.Encoder().encode


class Fitting(NamedTuple):
    """A letter as it can be kept, the body as its item has it, and whether that is compressed."""

    letter: DeadLetter
    body: bytes
    compressed: bool


def fitting(letter: DeadLetter) -> Fitting:
    """The letter, or as much of it as can be kept."""
    reason, size = letter.reason, len(letter.body)
    if len(reason) > REASON_LENGTH_MAX:
        reason = reason[: REASON_LENGTH_MAX - NOTES_LENGTH_MAX]
    if letter.identity and len(_encode(letter.identity)) > IDENTITY_BYTES_MAX:
        letter = structs.replace(letter, identity=None)  # it is nobody's: a player's id is far shorter
        reason += " (its identity is too long to be kept)"
    if size > BODY_BYTES_MAX:
        compressed = zlib.compress(letter.body) if size <= COMPRESSED_BYTES_MAX else letter.body
        if len(compressed) <= BODY_BYTES_MAX:
            return Fitting(structs.replace(letter, reason=reason), compressed, compressed=True)
        sha256 = hashlib.sha256(letter.body).hexdigest()
        reason += f" (the first {CUT_BYTES} of {size} bytes are kept; the SHA-256 of all is {sha256})"
        letter = structs.replace(letter, body=letter.body[:CUT_BYTES])
    return Fitting(structs.replace(letter, reason=reason), letter.body, compressed=False)


def whole_body(body: bytes, *, compressed: bool) -> bytes:
    """What a letter held, from the body that its item has."""
    return zlib.decompress(body) if compressed else body
