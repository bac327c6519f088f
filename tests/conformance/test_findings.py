"""The keepers of findings, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest
import structlog.testing

from aws.tables import clients_of, make_control_table
from conformance.findings import FindingsSuite, found
from ministack import MiniStack
from playerstate.backends.aws.control import Control
from playerstate.backends.aws.findings import DynamoFindings
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.sqlite.findings import SqliteFindings


class TestMemoryFindings(FindingsSuite):
    forgets = "memory: findings end with their process"

    def open(self, path: Path) -> AbstractContextManager[MemoryFindings]:
        return nullcontext(MemoryFindings())


class TestSqliteFindings(FindingsSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteFindings]:
        return closing(SqliteFindings.open(path))

    @pytest.mark.parametrize("damaged", ["all of it", "the middle"])
    def test_a_damaged_file_is_set_aside(self, path: Path, damaged: str) -> None:
        """It is kept under another name, and told of; what is found from then on goes into an empty one."""
        with self.open(path) as findings:
            findings.put([found(n) for n in range(500)])
        body = path.read_bytes()
        at = 0 if damaged == "all of it" else len(body) // 2
        path.write_bytes(body[:at] + b"x" * 8192 + body[at + 8192 :])
        path.with_name("findings-wal").write_bytes(b"y" * 100)
        with structlog.testing.capture_logs() as logs, self.open(path) as findings:
            assert findings.list() == []
            findings.put([found()])
            assert findings.list() == [found()]
        assert [line["event"] for line in logs] == ["the record of findings is damaged and was set aside"]
        aside = {one.name.rsplit("-", 2)[-1]: one for one in path.parent.glob("findings.damaged-*")}
        (kept,) = [one for name, one in aside.items() if name.isdigit()]
        assert b"x" * 8192 in kept.read_bytes()
        with self.open(path) as findings:
            assert findings.list() == [found()]


class TestDynamoFindings(FindingsSuite):
    @pytest.fixture(autouse=True)
    def emulator(self, ministack: MiniStack) -> None:
        self._control = Control(clients_of(ministack), make_control_table(ministack))

    def open(self, path: Path) -> AbstractContextManager[DynamoFindings]:
        return nullcontext(DynamoFindings(self._control))

    def crashed(self, path: Path) -> Path:
        return path  # a process that ends leaves the table as it is
