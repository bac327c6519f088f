"""Shards and their leases: parents before children, and every shard has one reader, whoever comes and dies."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from playerstate.backends.memory.leases import MemoryLeases
from playerstate.core.leases import Lease, Shares
from playerstate.core.shards import Shard, readable

LEASE_S = 30.0
LOOK_S = 10.0


def test_a_child_waits_for_all_its_parents() -> None:
    """A merged shard's turn comes when both parents have been read to the end; one listed no more holds up nobody."""
    shards = [
        Shard("a", (), closed=True),
        Shard("b", ("gone",), closed=True),
        Shard("c", ("a", "b")),
        Shard("d", ("c",)),
    ]
    assert readable(shards, set()) == ["a", "b"]
    assert readable(shards, {"a"}) == ["b"]
    assert readable(shards, {"a", "b"}) == ["c"]
    assert readable(shards[2:], set()) == ["c"]
    assert readable(shards, {"a", "b", "c", "d"}) == []


def shares(worker: str = "me") -> Shares:
    return Shares(worker, lease_s=LEASE_S, random=Random(1))


def by_shard(*leases: Lease) -> dict[str, Lease]:
    return {lease.shard_id: lease for lease in leases}


def test_a_lease_is_free_when_it_has_stood_still() -> None:
    """Only for as long as a lease may stand still, and only since it was first seen so, by the worker's own clock."""
    mine = shares()
    dead = by_shard(Lease("a", "other", 7))
    assert mine.to_take(["a"], dead, 1_000.0) == []
    assert mine.to_take(["a"], dead, 1_000.0 + LEASE_S - 0.1) == []
    assert mine.to_take(["a"], dead, 1_000.0 + LEASE_S) == ["a"]
    moved = by_shard(Lease("a", "other", 8))
    assert mine.to_take(["a"], moved, 2_000.0) == []
    assert mine.to_take(["a"], by_shard(Lease("a", "third", 8)), 2_029.0) == []
    assert mine.to_take(["a"], by_shard(Lease("a", "third", 8)), 2_058.9) == []


def test_takes_its_share_of_what_is_free() -> None:
    """Alone all of it, beside others as much as makes it even."""
    names = [f"s{n}" for n in range(7)]
    assert sorted(shares().to_take(names, {}, 0.0)) == names
    others = by_shard(Lease("s0", "other", 1))
    taken = shares().to_take(names, others, 0.0)
    assert len(taken) == 4
    assert "s0" not in taken


def test_takes_one_from_whoever_has_two_more() -> None:
    """A newcomer takes one at a time, from the busiest; a difference of one is even."""
    busy = by_shard(*[Lease(f"s{n}", "busy", 1) for n in range(3)], Lease("s3", "other", 1))
    (taken,) = shares().to_take(list(busy), busy, 0.0)
    assert busy[taken].owner == "busy"
    even = by_shard(Lease("s0", "me", 1), Lease("s1", "busy", 1), Lease("s2", "busy", 1))
    assert shares().to_take(list(even), even, 0.0) == []


class Worker:
    """One that lives or not; `since` is when it began, by a clock that is its own."""

    def __init__(self, name: str, clock_s: float) -> None:
        self.name = name
        self.clock_s = clock_s
        self.shares = Shares(name, lease_s=LEASE_S, random=Random(name))
        self.plan: list[tuple[str, Lease | None]] = []


class LeaseMachine(RuleBasedStateMachine):
    """Workers that join, look, act on what they saw later, and die; shards that split and merge and end."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = MemoryLeases()
        self.shards = [Shard("0"), Shard("1")]
        self.workers: list[Worker] = []
        self.now_s = 0.0
        self.count = 0

    @rule(clock_s=st.floats(-1e6, 1e6))
    @precondition(lambda self: len(self.workers) < 6)
    def join(self, clock_s: float) -> None:
        self.count += 1
        self.workers.append(Worker(f"w{self.count}", clock_s))

    @rule(data=st.data())
    @precondition(lambda self: self.workers)
    def die(self, data: st.DataObject) -> None:
        self.workers.remove(data.draw(st.sampled_from(self.workers)))

    @rule(data=st.data())
    @precondition(lambda self: len(self.shards) < 12)
    def split(self, data: st.DataObject) -> None:
        parents = data.draw(st.lists(st.sampled_from(self.shards), min_size=1, max_size=2, unique=True))
        self.count += 1
        self.shards.append(Shard(f"s{self.count}", tuple(parent.shard_id for parent in parents)))

    @rule(data=st.data())
    @precondition(lambda self: self.turn())
    def end(self, data: st.DataObject) -> None:
        shard_id = data.draw(st.sampled_from(self.turn()))
        lease = next((lease for lease in self.leases.all() if lease.shard_id == shard_id), None)
        if lease is not None and lease.owner in {worker.name for worker in self.workers}:
            assert self.leases.save(shard_id, lease.owner, "end", ended=True)

    @rule(data=st.data(), pass_s=st.floats(0, 2 * LEASE_S))
    @precondition(lambda self: self.workers)
    def look(self, data: st.DataObject, pass_s: float) -> None:
        self.now_s += pass_s
        self.look_by(data.draw(st.sampled_from(self.workers)))

    @rule(data=st.data())
    @precondition(lambda self: self.workers)
    def act(self, data: st.DataObject) -> None:
        self.act_by(data.draw(st.sampled_from(self.workers)))

    @rule(together=st.booleans())
    @precondition(lambda self: self.workers)
    def settle(self, together: bool) -> None:
        """Left alone, the living have every shard whose turn it is, as evenly as can be."""
        for _ in range(3 * len(self.shards) + 12):
            self.now_s += LOOK_S
            for worker in self.workers:
                self.look_by(worker)
                if not together:
                    self.act_by(worker)
            for worker in self.workers:
                self.act_by(worker)
        owners = {lease.shard_id: lease.owner for lease in self.leases.all()}
        living = [worker.name for worker in self.workers]
        assert all(owners[shard_id] in living for shard_id in self.turn())
        loads = [sum(owners[shard_id] == name for shard_id in self.turn()) for name in living]
        assert max(loads) - min(loads) <= 1

    @invariant()
    def a_lease_counts_up(self) -> None:
        """Nobody's change goes unseen by who looks at the counter."""
        leases = {lease.shard_id: lease for lease in self.leases.all()}
        for shard_id, before in getattr(self, "before", {}).items():
            assert leases[shard_id] == before or leases[shard_id].counter > before.counter
        self.before = leases

    def turn(self) -> list[str]:
        return readable(self.shards, {lease.shard_id for lease in self.leases.all() if lease.ended})

    def look_by(self, worker: Worker) -> None:
        leases = by_shard(*self.leases.all())
        for lease in leases.values():
            if lease.owner == worker.name:
                self.leases.renew(lease.shard_id, worker.name)
        leases = by_shard(*self.leases.all())
        taking = worker.shares.to_take(self.turn(), leases, worker.clock_s + self.now_s)
        assert len(taking) == len(set(taking))
        worker.plan = [(shard_id, leases.get(shard_id)) for shard_id in taking]

    def act_by(self, worker: Worker) -> None:
        for shard_id, seen in worker.plan:
            self.leases.take(shard_id, seen, worker.name)
        worker.plan = []


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.permutations([f"w{n}" for n in range(4)]), st.integers(1, 9))
def test_what_the_dead_had_is_shared_out(workers: list[str], count: int) -> None:
    """Where all but one have died, that one has everything after one look past the lease's time."""
    (alive, *dead) = workers
    leases = by_shard(*[Lease(f"s{n}", dead[n % len(dead)], n) for n in range(count)])
    mine = shares(alive)
    mine.to_take(list(leases), leases, 0.0)
    assert sorted(mine.to_take(list(leases), leases, LEASE_S)) == sorted(leases)
