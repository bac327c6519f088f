"""Findings, in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from playerstate.backends.sqlite.database import Database
from playerstate.core.findings import Finding, first_id_at

_decode = msgspec.msgpack.Decoder(Finding).decode
_encode = msgspec.msgpack.Encoder().encode

_BEYOND_ALL = "\U0010ffff"


class SqliteFindings:
    """`Findings`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "findings")

    def put(self, findings: Sequence[Finding]) -> None:
        """Keep findings, all or none."""
        rows = [(finding.finding_id, finding.player_id, _encode(finding)) for finding in findings]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO findings (finding_id, player_id, finding) VALUES (?, ?, ?)", rows
            )

    def list(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """Findings, or those about a player: the latest first."""
        where, parameters = "finding_id < ?", [_BEYOND_ALL if before is None else before]
        if player_id is not None:
            where += " AND player_id = ?"
            parameters.append(player_id)
        sql = f"SELECT finding FROM findings WHERE {where} ORDER BY finding_id DESC LIMIT ?"
        return [_decode(finding) for (finding,) in self._database.read(sql, (*parameters, limit))]

    def count(self) -> int:
        """How many there are."""
        return int(self._database.read("SELECT count(*) FROM findings")[0][0])

    def trim(self, before: int) -> int:
        """Delete findings from before a time."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM findings WHERE finding_id < ?", (first_id_at(before),)).rowcount

    def close(self) -> None:
        """Close the file."""
        self._database.close()
