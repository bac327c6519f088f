"""Workers on shards: every record is handled, in order where nothing is lost, whatever fails and whoever dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Self

import pytest
import structlog

from aws.fake_kinesis import FakeKinesis
from aws.kinesis_faults import clients_on
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.shards import kinesis_shards
from playerstate.backends.memory.leases import MemoryLeases
from playerstate.core.leases import NOBODY, Lease
from playerstate.errors import InvariantViolated, OutcomeUnknown, PlayerStateError, Unavailable
from playerstate.ports.shards import HORIZON
from playerstate.ports.stream import NewRecord, StreamRecord
from playerstate.runtime.shard_work import ShardWork
from playerstate.runtime.shard_worker import ShardWorker
from waiting import wait_until

PLAYERS = ["anna", "bob", "carl", "dora", "eve"]


class Handled:
    """What handlers were given, by all workers."""

    def __init__(self, *faults: Exception) -> None:
        self.bodies: list[bytes] = []
        self.faults = list(faults)

    def __call__(self, records: Sequence[StreamRecord]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.bodies += [record.body for record in records]

    def of(self, player: str) -> list[bytes]:
        return [body for body in self.bodies if body.startswith(player.encode())]


class World:
    """A stream, leases, and workers that are driven by hand or run."""

    def __init__(self, shard_count: int = 2) -> None:
        self.fake = FakeKinesis(shard_count)
        self.leases: Any = MemoryLeases()
        self.handled = Handled()
        self.now_s = 0.0
        self.count = 0

    def put(self, times: int = 1) -> None:
        for _ in range(times):
            self.count += 1
            records = [NewRecord(player, f"{player} {self.count}".encode()) for player in PLAYERS]
            KinesisStream(clients_on(self.fake), "updates").append(records)

    def worker(self, name: str, handle: Callable[[Sequence[StreamRecord]], object] | None = None) -> ShardWorker[Any]:
        shards = kinesis_shards(clients_on(self.fake), "updates")
        return ShardWorker(
            "apply",
            shards,
            self.leases,
            handle or self.handled,
            worker=name,
            lease_s=30.0,
            idle_s=0.001,
            monotonic_s=lambda: self.now_s,
            random=Random(name),
        )

    def expected(self, player: str) -> list[bytes]:
        return [f"{player} {n + 1}".encode() for n in range(self.count)]

    def all_handled(self) -> bool:
        return all(set(self.expected(player)) <= set(self.handled.of(player)) for player in PLAYERS)

    def work(self, handle: Callable[[Sequence[StreamRecord]], object], after: str = HORIZON) -> ShardWork[Any]:
        """The work on the first shard, taken by `w1`."""
        shard_id = next(iter(self.fake.shards))
        lease = self.leases.take(shard_id, None, "w1")._replace(position=after)
        reader = kinesis_shards(clients_on(self.fake), "updates").reader(shard_id, after)
        return ShardWork(lease, self.leases, reader, handle)


class Running:
    """A worker in a thread of its own."""

    def __init__(self, worker: ShardWorker[Any]) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        self.thread.join()

    def _run(self) -> None:
        try:
            self.worker.run()
        except PlayerStateError as exc:
            self.error = exc


def test_reads_over_resharding_in_order() -> None:
    """Promise 7: children come after their parents, without anybody waiting for the next look."""
    world = World()
    with Running(world.worker("w1")):
        world.put(3)
        for shard in world.fake.open_shards():
            world.fake.split(shard.shard_id)
        world.put(3)
        names = [shard.shard_id for shard in world.fake.open_shards()]
        world.fake.merge(names[1], names[2])
        world.put(3)
        wait_until(world.all_handled)
    for player in PLAYERS:
        assert world.handled.of(player) == world.expected(player)
    leases = world.leases.all()
    assert {lease.owner for lease in leases if not lease.ended} == {NOBODY}
    assert len([lease for lease in leases if lease.ended]) == 4


@pytest.mark.parametrize("fault", [Unavailable("away"), OutcomeUnknown("timed out"), ZeroDivisionError("a bug")])
def test_what_fails_is_tried_again(fault: Exception) -> None:
    """Promise 10: a batch whose handling failed is handled again before any other, and nothing is left out."""
    world = World(1)
    world.put(2)
    world.handled.faults = [fault, fault]
    with Running(world.worker("w1")):
        wait_until(world.all_handled)
    for player in PLAYERS:
        assert world.handled.of(player) == world.expected(player)


def test_a_broken_promise_stops_the_worker() -> None:
    """The reason is raised, the batch is not noted, and all leases are given up."""
    world = World()
    world.put()
    world.handled.faults = [InvariantViolated("two and two are five")] * 10
    with Running(world.worker("w1")) as running:
        running.thread.join()
        assert isinstance(running.error, InvariantViolated)
    assert {lease.owner for lease in world.leases.all()} == {NOBODY}
    assert any(lease.position == HORIZON for lease in world.leases.all())


def test_goes_on_where_the_one_before_it_stopped() -> None:
    """A worker that is stopped has noted what it did: the next one, at once, repeats nothing."""
    world = World()
    for name in ("w1", "w2"):
        world.put(2)
        with Running(world.worker(name)):
            wait_until(world.all_handled)
    for player in PLAYERS:
        assert world.handled.of(player) == world.expected(player)


def test_shards_are_shared_out_and_taken_over() -> None:
    """A second worker gets its half; when it dies, the first has everything when the leases have stood still."""
    world = World(4)
    one, two = world.worker("w1"), world.worker("w2")
    try:
        for _ in range(4):
            one.look()
            two.look()
        assert (len(one.owned), len(two.owned)) == (2, 2)
        assert not set(one.owned) & set(two.owned)
        kept = one.owned
        two._leave_all()
        for shard_id in {*world.fake.shards} - {*kept}:  # as if it had died instead
            lease = next(lease for lease in world.leases.all() if lease.shard_id == shard_id)
            world.leases.take(shard_id, lease, "w2")
        one.look()
        world.now_s += 29.0
        one.look()
        assert one.owned == kept
        world.now_s += 1.0
        one.look()
        assert one.owned == sorted(world.fake.shards)
    finally:
        one._leave_all()


def test_a_lost_lease_ends_the_work_at_the_next_batch() -> None:
    """Promise 2 hangs on no lease, but a zombie notes nothing and takes no further batch."""
    world = World(1)
    world.put()
    stolen: list[Lease | None] = []

    def handle(records: Sequence[StreamRecord]) -> None:
        world.handled(records)
        (lease,) = world.leases.all()
        stolen.append(world.leases.take(lease.shard_id, lease, "w2"))

    work = world.work(handle)
    assert work.step(100) == len(PLAYERS)
    assert work.done
    assert world.leases.all() == stolen


def test_what_was_handled_is_not_handled_again_because_it_could_not_be_noted() -> None:
    """A note that fails is made again before more is read."""
    world = World(1)
    world.put()
    work = world.work(world.handled)
    leases, refusals = world.leases, [OutcomeUnknown("timed out"), Unavailable("away")]

    class Away:
        def save(self, *args: Any, **rest: Any) -> bool:
            if refusals:
                raise refusals.pop()
            return bool(leases.save(*args, **rest))

    work._leases = Away()  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(PlayerStateError):
            work.step(100)
    world.put()
    assert work.step(100) == 0
    assert leases.all()[0].position == world.fake.shards[work.shard_id].records[len(PLAYERS) - 1]["SequenceNumber"]
    work.step(100)
    for player in PLAYERS:
        assert world.handled.of(player) == world.expected(player)


def test_a_lease_whose_taking_had_no_answer_is_used() -> None:
    """What was taken all the same is worked on from the next look on."""
    world = World(1)
    take = world.leases.take

    def take_without_answer(*args: Any) -> None:
        take(*args)
        world.leases.take = take
        raise OutcomeUnknown("timed out")

    world.leases.take = take_without_answer
    worker = world.worker("w1")
    try:
        with pytest.raises(OutcomeUnknown):
            worker.look()
        assert worker.owned == []
        worker.look()
        assert worker.owned == list(world.fake.shards)
    finally:
        worker._leave_all()


def test_leases_of_shards_that_are_no_more_go() -> None:
    """A shard that has gone leaves no lease; that it had not been read to its end is told."""
    world = World(1)
    (gone,) = world.fake.shards
    left, right = world.fake.split(gone)
    unread = world.leases.take(gone, None, "dead")
    assert unread is not None
    del world.fake.shards[gone]
    worker = world.worker("w1")
    try:
        with structlog.testing.capture_logs() as logs:
            worker.look()
            worker.look()
        assert worker.owned == [left, right]
        assert [lease.shard_id for lease in world.leases.all()] == [left, right]
    finally:
        worker._leave_all()
    told = [entry["shard"] for entry in logs if entry["event"] == "a shard has gone before it was read to its end"]
    assert told == [gone]


def test_outages_of_the_leases_do_not_stop_the_reading() -> None:
    """A worker that cannot look after its leases goes on with the shards that it has."""
    world = World(1)
    with Running(world.worker("w1")) as running:
        wait_until(lambda: bool(running.worker.owned))
        asked = threading.Event()

        def away() -> list[Lease]:
            asked.set()
            raise Unavailable("the control table")

        world.leases.all = away
        running.worker._wake.set()
        assert asked.wait(20)
        world.put()
        wait_until(world.all_handled)
        assert running.thread.is_alive()
