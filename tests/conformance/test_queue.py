"""The queues, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from random import Random

import pytest

from aws.queues import AwsQueue, hidden, make_queue
from conformance.queue import QueueSuite, QueueWithDead
from ministack import MiniStack
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.sqlite.queue import SqliteQueue
from playerstate.ports.clock import Clock
from waiting import wait_until


class TestMemoryQueue(QueueSuite):
    forgets = "memory: a queue ends with its process"

    def open(self, path: Path, clock: Clock, attempts_max: int) -> AbstractContextManager[MemoryQueue]:
        return nullcontext(MemoryQueue(clock, Random(7), attempts_max=attempts_max))

    def test_delivers_in_any_order_and_the_same_again(self) -> None:
        """The order of delivery is not that of sending, differs by seed, and is the same for the same seed."""

        def order(seed: int) -> list[bytes]:
            queue = MemoryQueue(ManualClock(), Random(seed))
            queue.send([b"%d" % n for n in range(20)])
            return [message.body for message in queue.receive(20, visibility_s=1)]

        sent = [b"%d" % n for n in range(20)]
        assert order(1) == order(1) != sent
        assert order(1) != order(2)

    def test_delivers_twice_when_told_to(self) -> None:
        """A share of deliveries is repeated while the first is still being worked on; delete stays final."""
        queue = MemoryQueue(ManualClock(), Random(1), repeat_share=0.5, attempts_max=100)
        bodies = [b"%d" % n for n in range(40)]
        queue.send(bodies)
        received = queue.receive(40, visibility_s=30)
        again = queue.receive(40, visibility_s=30)
        assert sorted(message.body for message in received) == sorted(bodies)
        assert 0 < len(again) < 40
        while received:
            queue.delete([message.receipt for message in [*received, *again]])
            received = queue.receive(40, visibility_s=30)
        assert queue.depth() == 0


class TestSqliteQueue(QueueSuite):
    def open(self, path: Path, clock: Clock, attempts_max: int) -> AbstractContextManager[SqliteQueue]:
        return closing(SqliteQueue(path, clock, attempts_max=attempts_max))


class TestSqsQueue(QueueSuite):
    attempts_max = 2  # each takes a second
    own_clock = "SQS goes by a clock of its own, which nobody can set or stop"
    forgets = "SQS has no files here that could be copied; that it loses nothing is AWS's promise"

    @pytest.fixture(autouse=True)
    def _emulated(self, ministack: MiniStack) -> None:
        self._ministack = ministack

    def open(self, path: Path, clock: Clock, attempts_max: int) -> AbstractContextManager[AwsQueue]:
        return nullcontext(make_queue(self._ministack, attempts_max))

    def pass_time(self, queue: QueueWithDead, clock: ManualClock, ms: int) -> None:
        assert isinstance(queue, AwsQueue)
        wait_until(lambda: hidden(queue) == 0, "messages to be visible")
