"""The dead letters, and the record of those that have gone, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from playerstate.backends.sqlite.database import Database
from playerstate.core.letters import EVERY, End, Ending, GoneLetter, LetterFilter, LetterSummary, fingerprint
from playerstate.core.model import DeadLetter, Identity
from playerstate.core.producers import OWN_PRODUCER_PREFIX

_decode = msgspec.msgpack.Decoder(DeadLetter).decode
_decode_identity = msgspec.msgpack.Decoder(Identity).decode
_decode_ending = msgspec.msgpack.Decoder(Ending).decode
_encode = msgspec.msgpack.Encoder().encode

_PUT = (
    "INSERT INTO letters (letter_id, stage, at, code, player_id, identity, letter) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 "
    "WHERE NOT EXISTS (SELECT 1 FROM letters WHERE letter_id = ?1)"  # a conflict would use up a place
)
_RECORD = (
    "INSERT INTO gone (letter_id, stage, at, code, player_id, identity, fingerprint, ended_at, ending) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_GONE = "SELECT number, letter_id, stage, at, code, identity, ending FROM gone"
_WHERE = (
    "(:stage IS NULL OR stage = :stage) AND (:code IS NULL OR code = :code) "
    "AND (:player_id IS NULL OR player_id = :player_id) AND (:before IS NULL OR at < :before)"
)
_OLD = "SELECT letter FROM letters WHERE at < ? ORDER BY place LIMIT ?"
_FIRST = "SELECT letter FROM letters ORDER BY place LIMIT ?"
_RAISE = (
    "INSERT INTO forgotten (producer, sequence) VALUES (?, ?) "
    "ON CONFLICT (producer) DO UPDATE SET sequence = max(sequence, excluded.sequence)"
)


class SqliteDeadLetters:
    """`DeadLetters`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "dead_letters")

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters, all or none; how many of them were not there."""
        rows = [_row(letter) for letter in letters]
        with self._database.transaction() as connection:
            return max(connection.executemany(_PUT, rows).rowcount, 0)

    def mark(self) -> int:
        """The place of the last letter that was put: places have no gaps, and are never used again."""
        rows = self._database.read("SELECT seq FROM sqlite_sequence WHERE name = 'letters'")
        return int(rows[0][0]) if rows else 0

    def list(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        sql = f"SELECT letter FROM letters WHERE letter_id > :after AND {_WHERE} ORDER BY letter_id LIMIT :limit"
        wanted = {**msgspec.structs.asdict(where), "after": after, "limit": limit}
        return [_decode(letter) for (letter,) in self._database.read(sql, wanted)]

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        return self._one("SELECT letter FROM letters WHERE letter_id = ?", letter_id)

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update."""
        return self._one("SELECT letter FROM letters WHERE identity = ? LIMIT 1", _encode(identity))

    def replace(self, letter: DeadLetter) -> bool:
        """Keep what has changed of a letter."""
        sql = "UPDATE letters SET letter = ? WHERE letter_id = ?"
        with self._database.transaction() as connection:
            return connection.execute(sql, (_encode(letter), letter.letter_id)).rowcount == 1

    def end(self, letter_id: str, ending: Ending) -> bool:
        """Have a letter go, and keep the record of it."""
        sql = "SELECT letter FROM letters WHERE letter_id = ?"
        with self._database.transaction() as connection:
            return _end(connection, connection.execute(sql, (letter_id,)).fetchall(), ending) == 1

    def expire(self, before: int, keep: int, *, at: int, limit: int) -> int:
        """End letters that are too old or too many."""
        ending = Ending(End.EXPIRED, at)
        with self._database.transaction() as connection:
            gone = _end(connection, connection.execute(_OLD, (before, limit)).fetchall(), ending)
            (count,) = connection.execute("SELECT count(*) FROM letters").fetchone()
            too_many = max(min(count - keep, limit - gone), 0)
            return gone + _end(connection, connection.execute(_FIRST, (too_many,)).fetchall(), ending)

    def erase(self, player_id: str, *, at: int, before: str | None = None) -> int:
        """End a player's letters, and forget the reasons of those that had gone."""
        letters = "SELECT letter FROM letters WHERE player_id = :player AND (:before IS NULL OR letter_id < :before)"
        endings = "SELECT number, ending FROM gone WHERE player_id = ?"
        with self._database.transaction() as connection:
            for number, ending in connection.execute(endings, (player_id,)).fetchall():
                bare = msgspec.structs.replace(_decode_ending(ending), reason="")
                connection.execute("UPDATE gone SET ending = ? WHERE number = ?", (_encode(bare), number))
            found = connection.execute(letters, {"player": player_id, "before": before}).fetchall()
            return _end(connection, found, Ending(End.ERASED, at))

    def summary(self) -> LetterSummary:
        """How many there are, and how old."""
        rows = self._database.read("SELECT stage, count(*), min(at) FROM letters GROUP BY stage")
        return LetterSummary(
            {stage: count for stage, count, _ in rows}, min([oldest for _, _, oldest in rows], default=0)
        )

    def count(self) -> int:
        """How many letters there are."""
        return self.summary().count

    def gone(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records."""
        wanted = {**msgspec.structs.asdict(where), "after": after, "limit": limit}
        rows = self._database.read(f"{_GONE} WHERE number > :after AND {_WHERE} ORDER BY number LIMIT :limit", wanted)
        return [_gone(row) for row in rows]

    def latest_gone(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a letter."""
        rows = self._database.read(f"{_GONE} WHERE letter_id = ? ORDER BY number DESC LIMIT 1", (letter_id,))
        return _gone(rows[0]) if rows else None

    def has_ended(self, letter: DeadLetter) -> bool:
        """Whether a letter with this id and body has gone."""
        sql = "SELECT 1 FROM gone WHERE letter_id = ? AND fingerprint = ? LIMIT 1"
        return bool(self._database.read(sql, (letter.letter_id, fingerprint(letter))))

    def code_of(self, identity: Identity) -> str | None:
        """Why an update was put aside."""
        for table in ("letters", "gone"):
            rows = self._database.read(f"SELECT code FROM {table} WHERE identity = ? LIMIT 1", (_encode(identity),))
            if rows:
                return str(rows[0][0])
        return None

    def identities(self) -> Sequence[Identity]:
        """Every identity for which `code_of` has an answer."""
        sql = "SELECT identity FROM {0} WHERE identity IS NOT NULL"
        rows = self._database.read(f"{sql.format('letters')} UNION {sql.format('gone')}")
        return [_decode_identity(identity) for (identity,) in rows]

    def identities_since(self, mark: int) -> Sequence[Identity]:
        """Those put after the mark, and all that have gone, of which the file does not say when they were put."""
        sql = (
            "SELECT identity FROM letters WHERE place > ? AND identity IS NOT NULL "
            "UNION SELECT identity FROM gone WHERE identity IS NOT NULL"
        )
        return [_decode_identity(identity) for (identity,) in self._database.read(sql, (mark,))]

    def forget(self, before: int, keep: int, *, limit: int) -> int:
        """Delete records that are too old or too many."""
        old = "SELECT number, identity FROM gone WHERE ended_at < ? ORDER BY number LIMIT ?"
        first = "SELECT number, identity FROM gone ORDER BY number LIMIT ?"
        with self._database.transaction() as connection:
            forgotten = _forget(connection, connection.execute(old, (before, limit)).fetchall())
            (count,) = connection.execute("SELECT count(*) FROM gone").fetchone()
            too_many = max(min(count - keep, limit - forgotten), 0)
            return forgotten + _forget(connection, connection.execute(first, (too_many,)).fetchall())

    def forgotten_up_to(self, producer: str) -> int:
        """The highest sequence of which a record was forgotten."""
        rows = self._database.read("SELECT sequence FROM forgotten WHERE producer = ?", (producer,))
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _one(self, sql: str, parameter: str | bytes) -> DeadLetter | None:
        rows = self._database.read(sql, (parameter,))
        return _decode(rows[0][0]) if rows else None


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    return (letter.letter_id, letter.stage, letter.at, letter.code, *_who(letter), _encode(letter))


def _who(letter: DeadLetter) -> tuple[str | None, bytes | None]:
    identity = letter.identity
    return (identity.player_id, _encode(identity)) if identity else (None, None)


def _end(connection: sqlite3.Connection, found: Sequence[tuple[bytes]], ending: Ending) -> int:
    """Delete letters, and put their records in their place."""
    letters = [_decode(letter) for (letter,) in found]
    told = _encode(ending)
    records = [
        (one.letter_id, one.stage, one.at, one.code, *_who(one), fingerprint(one), ending.at, told) for one in letters
    ]
    connection.executemany(_RECORD, records)
    connection.executemany("DELETE FROM letters WHERE letter_id = ?", [(one.letter_id,) for one in letters])
    return len(letters)


def _forget(connection: sqlite3.Connection, found: Sequence[tuple[int, bytes | None]]) -> int:
    """Delete records. Accept's own producers leave no gaps, so of those it is kept how far their dead went."""
    identities = [_decode_identity(identity) for _, identity in found if identity]
    own = [(one.producer, one.sequence) for one in identities if one.producer.startswith(OWN_PRODUCER_PREFIX)]
    connection.executemany(_RAISE, own)
    connection.executemany("DELETE FROM gone WHERE number = ?", [(number,) for number, _ in found])
    return len(found)


def _gone(row: tuple[Any, ...]) -> GoneLetter:
    number, letter_id, stage, at, code, identity, ending = row
    who = _decode_identity(identity) if identity else None
    return GoneLetter(number, letter_id, stage, at, code, who, _decode_ending(ending))
