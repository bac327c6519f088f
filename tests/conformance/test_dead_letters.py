"""The keepers of dead letters, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from conformance.dead_letters import DeadLettersSuite
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters


class TestMemoryDeadLetters(DeadLettersSuite):
    forgets = "memory: dead letters end with their process"

    def open(self, path: Path) -> AbstractContextManager[MemoryDeadLetters]:
        return nullcontext(MemoryDeadLetters())


class TestSqliteDeadLetters(DeadLettersSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteDeadLetters]:
        return closing(SqliteDeadLetters(path))
