"""The dead letters, in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from playerstate.backends.sqlite.database import Database
from playerstate.core.model import DeadLetter, Identity

_decode = msgspec.msgpack.Decoder(DeadLetter).decode
_encode = msgspec.msgpack.Encoder().encode


class SqliteDeadLetters:
    """`DeadLetters`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "dead_letters")

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, all or none."""
        rows = [(l.letter_id, _encode(l.identity) if l.identity else None, _encode(l)) for l in letters]  # noqa: E741
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO letters (letter_id, identity, letter) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows
            )

    def list(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        sql = "SELECT letter FROM letters WHERE letter_id > ? ORDER BY letter_id LIMIT ?"
        return [_decode(letter) for (letter,) in self._database.read(sql, (after, limit))]

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        return self._one("SELECT letter FROM letters WHERE letter_id = ?", letter_id)

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update."""
        return self._one("SELECT letter FROM letters WHERE identity = ? LIMIT 1", _encode(identity))

    def remove(self, letter_id: str) -> bool:
        """Remove a letter."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM letters WHERE letter_id = ?", (letter_id,)).rowcount == 1

    def count(self) -> int:
        """How many letters there are."""
        return int(self._database.read("SELECT count(*) FROM letters")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _one(self, sql: str, parameter: str | bytes) -> DeadLetter | None:
        rows = self._database.read(sql, (parameter,))
        return _decode(rows[0][0]) if rows else None
