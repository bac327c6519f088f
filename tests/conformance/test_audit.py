"""The audit logs, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from conformance.audit import AuditSuite
from conformance.audit_deliveries import AuditDeliveriesSuite
from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.sqlite.audit import SqliteAudit


class TestMemoryAudit(AuditSuite, AuditDeliveriesSuite):
    forgets = "memory: an audit log ends with its process"

    def open(self, path: Path) -> AbstractContextManager[MemoryAudit]:
        return nullcontext(MemoryAudit())


class TestSqliteAudit(AuditSuite, AuditDeliveriesSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteAudit]:
        return closing(SqliteAudit(path))
