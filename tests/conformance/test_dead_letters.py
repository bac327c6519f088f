"""The keepers of dead letters, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from aws.tables import clients_of, make_control_table
from conformance.dead_letters import DeadLettersSuite
from ministack import MiniStack
from playerstate.backends.aws.control import Control
from playerstate.backends.aws.dead_letters import DynamoDeadLetters
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters


class TestMemoryDeadLetters(DeadLettersSuite):
    forgets = "memory: dead letters end with their process"

    def open(self, path: Path) -> AbstractContextManager[MemoryDeadLetters]:
        return nullcontext(MemoryDeadLetters())


class TestSqliteDeadLetters(DeadLettersSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteDeadLetters]:
        return closing(SqliteDeadLetters(path))


class TestDynamoDeadLetters(DeadLettersSuite):
    whole_up_to = 350_000

    @pytest.fixture(autouse=True)
    def emulator(self, ministack: MiniStack) -> None:
        self._control = Control(clients_of(ministack), make_control_table(ministack))

    def open(self, path: Path) -> AbstractContextManager[DynamoDeadLetters]:
        return nullcontext(DynamoDeadLetters(self._control))

    def crashed(self, path: Path) -> Path:
        return path  # a process that ends leaves the table as it is
