"""What every queue guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis.stateful import run_state_machine_as_test

from builders import NOW_MS
from conformance.queue_machine import EMULATOR_SETTINGS, QUEUE_MACHINE_SETTINGS, queue_machine_on
from conformance.suite import Broken, BrokenInputError, Suite, crashed_copy, run_together, until, walk
from playerstate.backends.memory.clock import ManualClock
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Message, Queue


class QueueWithDead(Queue, Protocol):
    """A queue whose dead letters can be looked at."""

    def dead(self) -> Sequence[bytes]:
        """The bodies of the messages that were received too often."""
        ...


class QueueSuite(Suite, ABC):
    attempts_max = 3

    own_clock = ""
    """Why the queue does not go by the clock that it is given, if that is so: a declared gap."""

    @abstractmethod
    def open(self, path: Path, clock: Clock, attempts_max: int) -> AbstractContextManager[QueueWithDead]:
        """Open the queue that lies at a path, or make it."""

    def pass_time(self, queue: QueueWithDead, clock: ManualClock, ms: int) -> None:
        """Let time pass, after which all that was hidden for that long is visible.

        A queue with a clock of its own waits until it is; so nothing may be hidden for longer.
        """
        clock.advance(ms)

    @pytest.fixture
    def given_clock(self) -> None:
        """Asked for by the tests that have to know exactly what time it is."""
        if self.own_clock:
            pytest.xfail(self.own_clock)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "queue"

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(NOW_MS)

    @pytest.fixture
    def queue(self, path: Path, clock: ManualClock) -> Iterator[QueueWithDead]:
        with self.open(path, clock, self.attempts_max) as queue:
            yield queue

    def test_new_queue_is_empty(self, queue: QueueWithDead) -> None:
        """Nothing waits, nothing is received, nothing is dead."""
        assert (queue.depth(), queue.receive(10, visibility_s=30), list(queue.dead())) == (0, [], [])

    def test_a_delayed_message_waits(self, queue: QueueWithDead) -> None:
        """It is not received, and waits all the while; others are not held up by it."""
        queue.send([b"later"], delay_s=600)
        queue.send([b"now"])
        assert [message.body for message in queue.receive(10, visibility_s=30)] == [b"now"]
        assert queue.receive(10, visibility_s=30) == []
        assert queue.depth() == 2

    def test_a_delayed_message_comes(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """Once its time has come, as any other."""
        queue.send([b"later"], delay_s=0.5)
        self.pass_time(queue, clock, 500)
        (message,) = queue.receive(10, visibility_s=30)
        assert (message.body, message.attempt) == (b"later", 1)

    @pytest.mark.usefixtures("given_clock")
    def test_a_delayed_message_comes_when_its_time_has_come(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """Not before, and others are not held up by it; it waits all the while."""
        queue.send([b"later"], delay_s=2.5)
        queue.send([b"now"])
        clock.advance(2_499)
        assert [message.body for message in queue.receive(10, visibility_s=30)] == [b"now"]
        assert queue.depth() == 2
        clock.advance(1)
        (message,) = queue.receive(10, visibility_s=30)
        assert (message.body, message.attempt) == (b"later", 1)

    def test_every_message_is_received(self, queue: QueueWithDead) -> None:
        """Each message is received with its body, whatever that is; equal bodies are messages of their own."""
        bodies = [b"a", b"b", b"a", b"", b"\x00\xff{", bytes(range(256)) * 1024]
        queue.send(bodies[:2])
        queue.send(bodies[2:])
        assert queue.depth() == len(bodies)
        received = queue.receive(100, visibility_s=30)
        assert sorted(message.body for message in received) == sorted(bodies)
        assert len({message.receipt for message in received}) == len(bodies)
        assert {message.attempt for message in received} == {1}

    def test_at_most_as_many_as_asked_for(self, queue: QueueWithDead) -> None:
        """Receiving in portions, each within the limit, comes to every message once within their visibility."""
        bodies = [b"%d" % n for n in range(10)]
        queue.send(bodies)
        seen = walk(lambda _: queue.receive(4, visibility_s=30), 4)
        assert sorted(message.body for message in seen) == bodies

    def test_received_is_hidden(self, queue: QueueWithDead) -> None:
        """A message that was received is not received again meanwhile, and still waits."""
        queue.send([b"a"])
        assert len(queue.receive(10, visibility_s=30)) == 1
        assert queue.receive(10, visibility_s=30) == []
        assert queue.depth() == 1

    def test_received_comes_again(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """A message that was received and not deleted comes again, and says how often it has come."""
        queue.send([b"a"])
        for attempt in range(1, self.attempts_max + 1):
            (message,) = queue.receive(10, visibility_s=0.5)
            assert (message.body, message.attempt) == (b"a", attempt)
            self.pass_time(queue, clock, 500)

    @pytest.mark.usefixtures("given_clock")
    def test_received_stays_until_deleted(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """A message that was received and not deleted is hidden, and comes again when its time has passed."""
        queue.send([b"a"])
        for attempt in range(1, self.attempts_max + 1):
            (message,) = queue.receive(10, visibility_s=2.5)
            assert (message.body, message.attempt) == (b"a", attempt)
            clock.advance(2_499)
            assert queue.receive(10, visibility_s=2.5) == []
            assert queue.depth() == 1
            clock.advance(1)

    def test_delete_is_final(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """A deleted message never comes again; those that were received with it do."""
        queue.send([b"a", b"b", b"c"])
        received = queue.receive(10, visibility_s=1)
        queue.delete([message.receipt for message in received if message.body in {b"a", b"c"}])
        assert queue.depth() == 1
        self.pass_time(queue, clock, 1_000)
        assert [message.body for message in queue.receive(10, visibility_s=1)] == [b"b"]

    def test_receipts_that_are_no_longer_valid(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """Deleting again, or by the receipt of an earlier attempt, deletes nothing and fails nothing else."""
        queue.send([b"deleted", b"redelivered", b"done"])
        receipts = receipts_of(queue.receive(10, visibility_s=1))
        queue.delete([receipts[b"deleted"]])
        self.pass_time(queue, clock, 1_000)
        newer = receipts_of(queue.receive(10, visibility_s=1))
        queue.delete([receipts[b"deleted"], receipts[b"redelivered"], newer[b"done"]])
        assert queue.depth() == 1
        queue.delete([])
        assert queue.depth() == 1
        queue.delete([newer[b"redelivered"]])
        assert queue.depth() == 0

    def test_dead_after_too_many_attempts(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """A message is delivered `attempts_max` times, then goes to the dead letters and is received no more."""
        queue.send([b"poison"])
        for _ in range(self.attempts_max):
            assert list(queue.dead()) == []
            assert len(queue.receive(10, visibility_s=1)) == 1
            self.pass_time(queue, clock, 1_000)
        assert queue.receive(10, visibility_s=1) == []
        assert (list(queue.dead()), queue.depth()) == ([b"poison"], 0)
        self.pass_time(queue, clock, 1_000)
        assert queue.receive(10, visibility_s=1) == []
        assert list(queue.dead()) == [b"poison"]

    def test_deleted_at_the_last_attempt_is_not_dead(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """A message that is deleted in its last attempt does not go to the dead letters."""
        queue.send([b"hard"])
        for _ in range(self.attempts_max):
            self.pass_time(queue, clock, 1_000)
            (message,) = queue.receive(10, visibility_s=1)
        queue.delete([message.receipt])
        self.pass_time(queue, clock, 1_000)
        assert queue.receive(10, visibility_s=1) == []
        assert (list(queue.dead()), queue.depth()) == ([], 0)

    def test_dead_ones_do_not_hide_the_living(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """Messages that were received too often leave the portion to the others: "none" means that there are none."""
        queue.send([b"poison %d" % n for n in range(5)])
        for _ in range(self.attempts_max):
            assert len(queue.receive(5, visibility_s=1)) == 5
            self.pass_time(queue, clock, 1_000)
        queue.send([b"fresh"])
        assert [message.body for message in queue.receive(1, visibility_s=1)] == [b"fresh"]

    def test_send_is_all_or_none(self, queue: QueueWithDead) -> None:
        """A send that fails half-way leaves none of its messages, and the queue goes on."""
        queue.send([b"before"])
        with pytest.raises(BrokenInputError):
            queue.send(Broken(b"lost 1", b"lost 2"))
        queue.send([b"after"])
        queue.send([])
        assert queue.depth() == 2
        assert {message.body for message in queue.receive(10, visibility_s=1)} == {b"before", b"after"}

    @pytest.mark.usefixtures("given_clock")
    def test_clock_that_jumps_back_loses_nothing(self, queue: QueueWithDead, clock: ManualClock) -> None:
        """After a jump of the clock messages may come late, and do come; what is sent then comes at once."""
        queue.send([b"a"])
        assert len(queue.receive(10, visibility_s=1)) == 1
        clock.set(NOW_MS - 3_600_000)
        queue.send([b"b"])
        assert b"b" in {message.body for message in queue.receive(10, visibility_s=1)}
        clock.set(NOW_MS + 1_000)
        assert b"a" in {message.body for message in queue.receive(10, visibility_s=1)}

    def test_consumers_beside_senders_lose_nothing(self, queue: QueueWithDead) -> None:
        """Several senders and consumers at once: every message is received, and the queue is empty in the end."""
        senders, calls = 2, 20
        total = senders * calls * 2
        seen: list[bytes] = []

        def send_all(sender: int) -> None:
            for n in range(calls):
                queue.send([b"%d.%d.%d" % (sender, n, part) for part in (0, 1)])

        def consume() -> None:
            for _ in until(lambda: len(set(seen)) >= total, "every message to be received"):
                received = queue.receive(3, visibility_s=30)
                seen.extend(message.body for message in received)
                queue.delete([message.receipt for message in received])

        run_together(consume, consume, *[lambda sender=sender: send_all(sender) for sender in range(senders)])
        assert len(set(seen)) == total
        assert (queue.depth(), list(queue.dead())) == (0, [])

    def test_agrees_with_a_plain_model(self) -> None:
        """Whatever is sent, received, deleted and waited for, in any order: nothing is lost, nothing comes back."""
        settings = EMULATOR_SETTINGS if self.own_clock else QUEUE_MACHINE_SETTINGS
        run_state_machine_as_test(queue_machine_on(self.open, own_clock=bool(self.own_clock)), settings=settings)

    @pytest.mark.usefixtures("durable")
    def test_outlives_a_crash(self, path: Path, clock: ManualClock) -> None:
        """Messages, attempts and dead letters are in the files, whether or not the process could close them."""
        with self.open(path, clock, 1) as queue:
            queue.send([b"poison"])
            queue.receive(10, visibility_s=1)
            clock.advance(1_000)
            assert queue.receive(10, visibility_s=1) == []
            queue.send([b"received", b"deleted"])
            queue.delete([receipts_of(queue.receive(10, visibility_s=1))[b"deleted"]])
            queue.send([b"new"])
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where, clock, 2) as queue:
                assert (list(queue.dead()), queue.depth()) == ([b"poison"], 2)
                assert [message.body for message in queue.receive(10, visibility_s=1)] == [b"new"]
        clock.advance(1_000)
        with self.open(path, clock, 2) as queue:
            received = {message.body: message.attempt for message in queue.receive(10, visibility_s=1)}
            assert received == {b"received": 2, b"new": 2}


def receipts_of(messages: list[Message]) -> dict[bytes, str]:
    return {message.body: message.receipt for message in messages}
