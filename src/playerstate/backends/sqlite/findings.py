"""Findings, in SQLite."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import structlog

from playerstate.backends.sqlite.database import Database
from playerstate.core.findings import OPEN, Finding, first_id_at
from playerstate.errors import InvariantViolated

_decode = msgspec.msgpack.Decoder(Finding).decode
_encode = msgspec.msgpack.Encoder().encode

_BEYOND_ALL = "\U0010ffff"
_ALL = "SELECT finding_id, finding FROM findings ORDER BY finding_id"

log = structlog.get_logger(__name__)


class SqliteFindings:
    """`Findings`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "findings")

    @classmethod
    def open(cls, path: Path) -> SqliteFindings:
        """Open the file, or an empty one if it is damaged, which is set aside: what only tells must not end a game."""
        try:
            findings = cls(path)
            findings._check()
        except InvariantViolated as exc:
            aside = f".damaged-{time.time_ns() // 1_000_000}"
            log.warning("the record of findings is damaged and was set aside", file=path.name + aside, error=str(exc))
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                with suppress(FileNotFoundError):  # another process of the node may have done it just now
                    path.with_name(name).rename(path.with_name(name.replace(path.name, path.name + aside)))
            findings = cls(path)
        return findings

    def _check(self) -> None:
        """Raise `InvariantViolated` if something in the file cannot be read."""
        try:
            found = self._database.read("PRAGMA quick_check(1)")
        except InvariantViolated:
            self.close()
            raise
        if found != [("ok",)]:
            self.close()
            raise InvariantViolated(f"findings.db: {found[0][0]}")

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

    def erase(self, players: Mapping[str, int]) -> int:
        """Delete what was found about players before a time, each player's own."""
        each = [(player_id, first_id_at(before)) for player_id, before in players.items()]
        with self._database.transaction() as connection:
            return connection.executemany("DELETE FROM findings WHERE player_id = ? AND finding_id < ?", each).rowcount

    def trim(self, before: int) -> int:
        """Delete findings from before a time."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM findings WHERE finding_id < ?", (first_id_at(before),)).rowcount

    def bound(self, keep: int) -> int:
        """Delete what is more than so many: the first found, and open ones last."""
        too_many = self.count() - keep
        if too_many <= 0:
            return 0
        settled: list[str] = []
        still_open: list[str] = []
        with self._database.reading() as connection, closing(connection.execute(_ALL)) as rows:
            for finding_id, body in rows:
                (still_open if _decode(body).repair in OPEN else settled).append(finding_id)
                if len(settled) == too_many:
                    break
        going = [*settled, *still_open][:too_many]
        with self._database.transaction() as connection:
            delete = "DELETE FROM findings WHERE finding_id = ?"
            return connection.executemany(delete, [(finding_id,) for finding_id in going]).rowcount

    def close(self) -> None:
        """Close the file."""
        self._database.close()
