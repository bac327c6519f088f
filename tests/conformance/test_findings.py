"""The keepers of findings, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from conformance.findings import FindingsSuite
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.sqlite.findings import SqliteFindings


class TestMemoryFindings(FindingsSuite):
    forgets = "memory: findings end with their process"

    def open(self, path: Path) -> AbstractContextManager[MemoryFindings]:
        return nullcontext(MemoryFindings())


class TestSqliteFindings(FindingsSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteFindings]:
        return closing(SqliteFindings(path))
