"""The audit log, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from playerstate.backends.sqlite import deliveries as noted
from playerstate.backends.sqlite.database import Database, insert_many
from playerstate.core.model import Cause, Delivery, Key, Side, Transition
from playerstate.core.numbers import pack, unpack_extension
from playerstate.ports.audit import Trimmed

_decode_causes = msgspec.msgpack.Decoder(list[Cause], ext_hook=unpack_extension).decode
_decode_sides = msgspec.msgpack.Decoder(list[Side]).decode

_COLUMNS = (
    "player_id, state_key, region, first, last, written_at, before_version, version, before, after, causes, sides"
    ", epoch"
)
_LATEST_FIRST = "ORDER BY written_at DESC, last DESC, state_key"
_WRITTEN_AT = 5
_EVER, _NEVER = -(2**63), 2**63 - 1
_NEXT = "SELECT rowid, written_at FROM transitions WHERE rowid > ? ORDER BY rowid LIMIT ?"
_INSERT = f"INSERT INTO transitions ({_COLUMNS})"


class SqliteAudit:
    """An `Audit`. One that must be `there_already` is another node's, and only read."""

    def __init__(self, path: Path, *, there_already: bool = False) -> None:
        self._database = Database(path, "audit", there_already=there_already)

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none."""
        rows = [
            (
                t.player_id,
                t.state_key,
                t.region,
                t.first,
                t.last,
                t.written_at,
                t.before_version,
                t.version,
                bytes(t.before),
                bytes(t.after),
                pack(t.causes),
                pack(t.sides) if t.sides else None,
                t.epoch,
            )
            for t in transitions
        ]
        with self._database.transaction() as connection:
            erased = _epochs(connection, {row[0] for row in rows})
            if erased:
                rows = [row for row in rows if row[-1] >= erased.get(Key(row[0], row[1]), 0)]
            insert_many(connection, _INSERT, rows, suffix="ON CONFLICT DO NOTHING")

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries that did nothing, all or none."""
        told = list(deliveries)
        with self._database.transaction() as connection:
            noted.insert(connection, told, _epochs(connection, {delivery.player_id for delivery in told}))

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Delete keys' transitions and deliveries of lower epochs, now and whenever they come."""
        raised = dict(epochs)
        with self._database.transaction() as connection:
            known = _epochs(connection, {key.player_id for key in raised})
            rows = [(*key, epoch) for key, epoch in raised.items() if epoch > known.get(key, 0)]
            connection.executemany("INSERT OR REPLACE INTO epochs (player_id, state_key, epoch) VALUES (?, ?, ?)", rows)
            delete = "DELETE FROM {} WHERE player_id = ? AND state_key = ? AND epoch < ?"
            connection.executemany(delete.format("deliveries"), rows)
            return sum([connection.execute(delete.format("transitions"), row).rowcount for row in rows])

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first."""
        where, parameters = "player_id = ?", [player_id]
        if state_key is not None:
            where += " AND state_key = ?"
            parameters.append(state_key)
        until, start = _NEVER if before is None else before, _EVER if since is None else since
        sql = f"SELECT {_COLUMNS} FROM transitions WHERE {where} AND written_at < ? AND written_at >= ? {_LATEST_FIRST}"
        rows = self._database.read(f"{sql} LIMIT ?", (*parameters, until, start, max(limit, 1)))
        if len(rows) >= limit:  # the rest of the last one's millisecond too, or the next page would begin behind it
            rows = self._database.read(sql, (*parameters, until, rows[-1][_WRITTEN_AT]))
        return [_transition(row) for row in rows]

    def deliveries(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """What came of a player's updates and did nothing: the latest first."""
        until, start = _NEVER if before is None else before, _EVER if since is None else since
        return noted.select(self._database, player_id, state_key, start, until, max(limit, 1))

    def count(self) -> int:
        """How many transitions are kept."""
        return int(self._database.read("SELECT count(*) FROM transitions")[0][0])

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Look at the next transitions, and delete the old ones of them. What has none is not written to."""
        noted.trim(self._database, before, limit)
        looked = self._database.read(_NEXT, (after, limit))
        if not looked:
            return Trimmed(0, None, None)
        last = looked[-1][0]
        old = [written_at for _, written_at in looked if written_at < before]
        kept = [written_at for _, written_at in looked if written_at >= before]
        deleted = 0
        if old:
            with self._database.transaction() as connection:
                delete = "DELETE FROM transitions WHERE rowid > ? AND rowid <= ? AND written_at < ?"
                deleted = connection.execute(delete, (after, last, before)).rowcount
                _note_trimmed(connection, max(old))
        return Trimmed(deleted, last if len(looked) == limit else None, min(kept, default=None))

    def trim_first(self, count: int) -> int:
        """Delete the transitions that were recorded first."""
        looked = self._database.read(_NEXT, (0, count))
        if not looked:
            return 0
        with self._database.transaction() as connection:
            deleted = connection.execute("DELETE FROM transitions WHERE rowid <= ?", (looked[-1][0],)).rowcount
            last_at = max([written_at for _, written_at in looked])
            _note_trimmed(connection, last_at)
        noted.trim(self._database, last_at, count)
        return deleted

    def bytes(self) -> int:
        """How many bytes the pages take that are in use: deleting frees pages, and never makes the file smaller."""
        with self._database.reading() as connection:
            pages, free, size = [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            ]
        return int((pages - free) * size)

    def complete_since(self) -> int:
        """From which time on nothing was trimmed."""
        rows = self._database.read("SELECT complete_since FROM trimmed")
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _epochs(connection: sqlite3.Connection, player_ids: Collection[str]) -> dict[Key, int]:
    """The epochs of the players' erased keys. Most logs have none, so that looking costs next to nothing."""
    if connection.execute("SELECT 1 FROM epochs LIMIT 1").fetchone() is None:
        return {}
    select = "SELECT player_id, state_key, epoch FROM epochs WHERE player_id = ?"
    rows = [row for player_id in player_ids for row in connection.execute(select, (player_id,))]
    return {Key(player_id, state_key): epoch for player_id, state_key, epoch in rows}


def _note_trimmed(connection: sqlite3.Connection, written_at: int) -> None:
    """Remember that a transition of this time is gone."""
    (since,) = connection.execute("SELECT max(complete_since) FROM trimmed").fetchone()
    if since is None or since <= written_at:
        connection.execute("DELETE FROM trimmed")
        connection.execute("INSERT INTO trimmed (complete_since) VALUES (?)", (written_at + 1,))


def _transition(row: tuple[Any, ...]) -> Transition:
    *identity_and_versions, before, after, causes, sides, epoch = row
    values = msgspec.Raw(before), msgspec.Raw(after)
    known_sides = _decode_sides(sides) if sides else []
    return Transition(*identity_and_versions, *values, _decode_causes(causes), known_sides, epoch)  # type: ignore[call-arg]
