"""The audit logs, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from builders import NOW_MS
from conformance.audit import AuditSuite
from conformance.audit_deliveries import AuditDeliveriesSuite
from influx import Influx
from playerstate.backends.aws.influx_audit import InfluxAudit
from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.sqlite.audit import SqliteAudit


class TestMemoryAudit(AuditSuite, AuditDeliveriesSuite):
    forgets = "memory: an audit log ends with its process"

    def open(self, path: Path) -> AbstractContextManager[MemoryAudit]:
        return nullcontext(MemoryAudit())


class TestSqliteAudit(AuditSuite, AuditDeliveriesSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteAudit]:
        return closing(SqliteAudit(path))


class TestInfluxAudit(AuditSuite, AuditDeliveriesSuite):
    keeps_by_age = "InfluxDB: the bucket's retention deletes by age alone, and nothing tells how large a bucket is"

    @pytest.fixture(autouse=True)
    def _server(self, influx: Influx) -> None:
        self._influx = influx

    def open(self, path: Path) -> AbstractContextManager[InfluxAudit]:
        """A client of the database that is named in the file, which a copy names too."""
        if not path.exists():
            path.write_text(self._influx.database())
        return closing(InfluxAudit(self._influx.server(path.read_text()), ManualClock(NOW_MS)))
