"""The stores, their changes, and what arrives there, each against the suites."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from conformance.arrivals import ArrivalsSuite
from conformance.changes import ChangesSuite
from conformance.store import StoreSuite
from conformance.store_base import OnAStoreTakingArrivals
from conformance.store_samples import StoreSamplesSuite
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.sqlite.store import SqliteStore


class OnMemory(OnAStoreTakingArrivals):
    forgets = "memory: a store ends with its process"
    race_steps = 200

    def open(self, path: Path) -> AbstractContextManager[MemoryStore]:
        return nullcontext(MemoryStore())


class OnSqlite(OnAStoreTakingArrivals):
    def open(self, path: Path) -> AbstractContextManager[SqliteStore]:
        return closing(SqliteStore(path))


class TestMemoryStore(OnMemory, StoreSuite, StoreSamplesSuite):
    pass


class TestMemoryChanges(OnMemory, ChangesSuite):
    pass


class TestMemoryArrivals(OnMemory, ArrivalsSuite):
    pass


class TestSqliteStore(OnSqlite, StoreSuite, StoreSamplesSuite):
    pass


class TestSqliteChanges(OnSqlite, ChangesSuite):
    pass


class TestSqliteArrivals(OnSqlite, ArrivalsSuite):
    pass
