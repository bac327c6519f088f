"""The keepers of leases, each against the suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count

import pytest

from aws.tables import make_control_table
from conformance.leases import LeasesSuite
from ministack import MiniStack
from playerstate.backends.aws.leases import DynamoDBLeases
from playerstate.backends.memory.leases import MemoryLeases
from playerstate.core.leases import Lease


class TestMemoryLeases(LeasesSuite):
    def open(self) -> AbstractContextManager[MemoryLeases]:
        return nullcontext(MemoryLeases())


class TestDynamoDBLeases(LeasesSuite):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def emulated(cls, ministack: MiniStack) -> None:
        cls.clients = ministack.clients()
        cls.table = make_control_table(ministack)
        cls.numbers = count()

    @contextmanager
    def open(self) -> Iterator[DynamoDBLeases]:
        yield DynamoDBLeases(self.clients, self.table, f"stage{next(self.numbers)}")

    def test_stages_are_independent(self) -> None:
        """A stage sees none of another's leases, however alike their names are; they lie under one prefix."""
        apply, apply2 = (DynamoDBLeases(self.clients, self.table, name) for name in ("apply", "apply2"))
        apply.take("s1", None, "w1")
        apply2.take("s1", None, "w2")
        assert apply.all() == [Lease("s1", "w1", 1)]
        assert apply2.all() == [Lease("s1", "w2", 1)]
        key = {"pk": {"S": "lease#apply"}, "sk": {"S": "s1"}}
        assert "Item" in self.clients.read("dynamodb", "get_item", TableName=self.table, Key=key)

    def test_more_than_a_page(self) -> None:
        """All leases are seen, also where they come in several answers."""
        leases = DynamoDBLeases(self.clients, self.table, "many")
        names = [f"{n}{'x' * 1_000}" for n in range(3)]
        for name in names:
            leases.take(name, None, "w1")
        query = self.clients.of("dynamodb").query
        paged = DynamoDBLeases(self.clients, self.table, "many")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.clients.of("dynamodb"), "query", lambda **q: query(**q, Limit=2))
            assert sorted(lease.shard_id for lease in paged.all()) == names
