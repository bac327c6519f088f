"""The stores, their changes, and what arrives there, each against the suites."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from aws.one_shard import OneShardChanges
from aws.streams import StreamedChanges
from aws.tables import clients_of, make_rows_table
from conformance.arrivals import ArrivalsSuite
from conformance.changes import ChangesSuite
from conformance.store import REGIONS, StoreSuite
from conformance.store_base import OnAStore, OnAStoreTakingArrivals
from conformance.store_samples import StoreSamplesSuite
from ministack import MiniStack
from playerstate.backends.aws.store import DynamoStore
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


class DynamoStoreWithChanges(DynamoStore):
    """A store with what its table's stream tells."""

    changes: StreamedChanges


class OnDynamo(OnAStore):
    race_steps = 3
    machine_examples = 4
    trims = False
    scattered = "DynamoDB: players come in the order of a hash"
    drawn_in_runs = "DynamoDB: a sample is drawn from the rows behind a few places of the table"

    @pytest.fixture(autouse=True)
    def emulator(self, ministack: MiniStack) -> None:
        self._ministack = ministack
        self._tables: dict[Path, str] = {}

    @contextmanager
    def open(self, path: Path) -> Iterator[DynamoStoreWithChanges]:
        table = self._tables.get(path) or self._tables.setdefault(path, make_rows_table(self._ministack))
        clients = clients_of(self._ministack)
        with closing(DynamoStoreWithChanges(clients, table, "eu-west-1", lambda: REGIONS)) as store:
            store.changes = StreamedChanges(clients, table)
            yield store

    def crashed(self, path: Path) -> Path:
        return path  # a process that ends leaves the table as it is


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


class TestDynamoStore(OnDynamo, StoreSuite, StoreSamplesSuite):
    pass


class TestDynamoChanges(OnDynamo, ChangesSuite):
    keeps = "DynamoDB: changes go after 24 hours, and nobody can delete one"

    @contextmanager
    def open(self, path: Path) -> Iterator[DynamoStoreWithChanges]:
        with super().open(path) as store:
            store.changes = OneShardChanges(clients_of(self._ministack), self._tables[path])  # type: ignore[assignment]
            yield store
