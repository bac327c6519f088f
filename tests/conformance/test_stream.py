"""The streams and the checkpoints, each against its suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aws.one_shard import OneShardStream, make_stream
from aws.tables import clients_of, make_control_table
from conformance.stream import CheckpointsSuite, StreamSuite, records
from conformance.suite import run_together
from ministack import MiniStack
from playerstate.backends.aws.checkpoints import DynamoCheckpoints
from playerstate.backends.aws.control import Control
from playerstate.backends.memory.stream import MemoryCheckpoints, MemoryStream
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.errors import OutcomeUnknown
from playerstate.ports.stream import NewRecord


class TestMemoryStream(StreamSuite):
    forgets = "memory: a stream ends with its process"

    def open(self, path: Path) -> AbstractContextManager[MemoryStream]:
        return nullcontext(MemoryStream())


class TestSqliteStream(StreamSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteStream]:
        return closing(SqliteStream(path))

    def test_commit_that_breaks_acknowledges_nobody(self, stream: SqliteStream) -> None:
        """Calls that share a commit with one that breaks in a way nobody foresaw are not told that they are safe."""
        unforeseen: Any = 2**70  # which the driver answers with an OverflowError
        acknowledged = []

        def append_good(name: str) -> None:
            for n in range(20):
                with suppress(OverflowError, OutcomeUnknown):
                    stream.append(records(f"{name}{n}"))
                    acknowledged.append(f"{name}{n}".encode())

        def append_unforeseen() -> None:
            for _ in range(20):
                with pytest.raises((OverflowError, OutcomeUnknown)):
                    stream.append([NewRecord("anna", unforeseen)])

        run_together(lambda: append_good("a"), lambda: append_good("b"), append_unforeseen)
        assert set(acknowledged) <= {record.body for record in stream.read(0, 1000)}


class TestKinesisStream(StreamSuite):
    keeps = "Kinesis: records go by age, and nobody can delete one"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def emulated(cls, ministack: MiniStack) -> None:
        cls.clients = ministack.clients()
        cls.new_name = partial(ministack.name, "updates")

    @contextmanager
    def open(self, path: Path) -> Iterator[OneShardStream]:
        if not path.exists():
            path.write_text(make_stream(self.clients, self.new_name()))
        yield OneShardStream(self.clients, path.read_text())


class TestMemoryCheckpoints(CheckpointsSuite):
    forgets = "memory: checkpoints end with their process"

    def open(self, path: Path) -> AbstractContextManager[MemoryCheckpoints]:
        return nullcontext(MemoryCheckpoints())


class TestSqliteCheckpoints(CheckpointsSuite):
    def open(self, path: Path) -> AbstractContextManager[SqliteCheckpoints]:
        return closing(SqliteCheckpoints(path))


class TestDynamoCheckpoints(CheckpointsSuite):
    @pytest.fixture(autouse=True)
    def emulator(self, ministack: MiniStack) -> None:
        self._control = Control(clients_of(ministack), make_control_table(ministack))

    def open(self, path: Path) -> AbstractContextManager[DynamoCheckpoints]:
        return nullcontext(DynamoCheckpoints(self._control))
