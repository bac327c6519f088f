"""Lines of JSON, and the identities of the updates in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from playerstate.core.model import Key, Update

CHUNK_BYTES = 256 * 1024
LINE_BYTES_MAX = 1024 * 1024
"""Far more than an update may have, however it is escaped; longer lines are not kept in memory."""
KEYS_MAX = 100_000
"""How many keys' sequences are kept in memory."""


class Readable(Protocol):
    """A buffered binary file, or standard input."""

    def read1(self, size: int, /) -> bytes:
        """What there is, at most so many bytes, waiting only if there is nothing; empty at the end."""
        ...


class Line(NamedTuple):
    """A line, counted from 1; without its `body` if that is too long."""

    number: int
    body: bytes | None


def read_lines(file: Readable) -> Iterator[list[Line]]:
    """The lines, as many at a time as a read completed, so that those of a slow pipe do not wait for others.

    The last line need not end with a newline. Empty lines are counted and left out.
    """
    number = 0
    partial = b""
    while chunk := file.read1(CHUNK_BYTES):
        *bodies, partial = (partial + chunk).split(b"\n")
        partial = partial[: LINE_BYTES_MAX + 1]
        yield [_line(number, body) for number, body in enumerate(bodies, number + 1) if body.strip()]
        number += len(bodies)
    if partial.strip():
        yield [_line(number + 1, partial)]


def _line(number: int, body: bytes) -> Line:
    return Line(number, body if len(body) <= LINE_BYTES_MAX else None)


class Identities:
    """Gives a producer and sequences, 1, 2, 3, ... for each first key, to updates that come without.

    They follow from the order of the updates alone, so the same input gets the same identities again. When the
    sequences of too many keys would have to be kept, a new producer begins: `producer.2`, `producer.3`, ...
    """

    def __init__(self, producer: str, *, keys_max: int = KEYS_MAX) -> None:
        self._base = producer
        self._keys_max = keys_max
        self._begun = 1
        self._producer = producer
        self._last: dict[Key, int] = {}

    def complete(self, update: Update) -> Update:
        """The update with an identity. One that has none because it is malformed stays so."""
        if update.producer or update.sequence or not update.ops:
            return update
        key = update.first_key
        if key not in self._last and len(self._last) >= self._keys_max:
            self._last.clear()
            self._begun += 1
            self._producer = f"{self._base}.{self._begun}"
        self._last[key] = sequence = self._last.get(key, 0) + 1
        return msgspec.structs.replace(update, producer=self._producer, sequence=sequence)
