"""The audit log, in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from playerstate.backends.sqlite.database import Database, insert_many
from playerstate.core.model import Cause, Side, Transition
from playerstate.core.numbers import pack, unpack_extension

_decode_causes = msgspec.msgpack.Decoder(list[Cause], ext_hook=unpack_extension).decode
_decode_sides = msgspec.msgpack.Decoder(list[Side]).decode

_COLUMNS = (
    "player_id, state_key, region, first, last, written_at, before_version, version, before, after, causes, sides"
)
_LATEST_FIRST = "ORDER BY written_at DESC, last DESC, state_key"
_WRITTEN_AT = 5
_INSERT = f"INSERT INTO transitions ({_COLUMNS})"


class SqliteAudit:
    """An `Audit`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "audit")

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
            )
            for t in transitions
        ]
        with self._database.transaction() as connection:
            insert_many(connection, _INSERT, rows, suffix="ON CONFLICT DO NOTHING")

    def history(
        self, player_id: str, state_key: str | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first."""
        where, parameters = "player_id = ?", [player_id]
        if state_key is not None:
            where += " AND state_key = ?"
            parameters.append(state_key)
        until = 2**63 - 1 if before is None else before
        sql = f"SELECT {_COLUMNS} FROM transitions WHERE {where} AND written_at < ? AND written_at >= ? {_LATEST_FIRST}"
        rows = self._database.read(f"{sql} LIMIT ?", (*parameters, until, -(2**63), max(limit, 1)))
        if len(rows) >= limit:  # the rest of the last one's millisecond too, or the next page would begin behind it
            rows = self._database.read(sql, (*parameters, until, rows[-1][_WRITTEN_AT]))
        return [_transition(row) for row in rows]

    def count(self) -> int:
        """How many transitions are kept."""
        return int(self._database.read("SELECT count(*) FROM transitions")[0][0])

    def trim(self, before: int) -> int:
        """Delete transitions written before a time."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM transitions WHERE written_at < ?", (before,)).rowcount

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _transition(row: tuple[str, str, str, int, int, int, str, str, bytes, bytes, bytes, bytes | None]) -> Transition:
    player_id, state_key, region, first, last, written_at, before_version, version, before, after, causes, sides = row
    return Transition(
        player_id,
        state_key,
        region,
        first,
        last,
        written_at,
        before_version,
        version,
        msgspec.Raw(before),
        msgspec.Raw(after),
        _decode_causes(causes),
        _decode_sides(sides) if sides else [],
    )
