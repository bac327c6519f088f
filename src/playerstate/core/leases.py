"""Which worker reads which shard: what one worker decides, by what it sees of the leases. Pure.

A lease names its owner and has a counter, which the owner moves while it lives. Nobody compares clocks: a lease is free
when its counter has stood still for a while by the clock of whoever looks. Shares become even by taking: each worker
takes free leases up to its share, and one at a time from whoever has at least two more than itself.

Nothing is ever wrong for two workers having one shard for a moment: all that they do stands being done twice. Leases
keep the order, and save work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

NOBODY = ""


class Lease(NamedTuple):
    """Who reads a shard, and how far it has been read: `position` is that of a batch, `ended` the shard's end."""

    shard_id: str
    owner: str = NOBODY
    counter: int = 0
    position: str = ""
    ended: bool = False


class Shares:
    """What one worker has seen of the leases, and when. Times are in seconds of its own monotonic clock.

    A lease that has not moved for `lease_s` is free; its owner has to move it several times as often.
    """

    def __init__(self, worker: str, *, lease_s: float, random: Random) -> None:
        self._worker = worker
        self._lease_s = lease_s
        self._random = random
        self._moved: dict[str, tuple[str, int, float]] = {}

    def to_take(self, readable: Sequence[str], leases: Mapping[str, Lease], now_s: float) -> list[str]:
        """The shards to take now, of those that are `readable`; a shard may have no lease yet.

        Whoever has fewer than its share takes what is free; whoever finds nothing free, and somebody with two more than
        itself, takes one of those.
        """
        owners = {shard_id: self._owner(leases.get(shard_id), now_s) for shard_id in readable}
        self._moved = {shard_id: moved for shard_id, moved in self._moved.items() if shard_id in owners}
        loads = Counter({self._worker: 0})
        loads.update(owner for owner in owners.values() if owner != NOBODY)
        share = -(-len(owners) // len(loads))
        free = [shard_id for shard_id, owner in owners.items() if owner == NOBODY]
        if free:
            self._random.shuffle(free)  # workers that start together should not all try the same ones
            return free[: max(share - loads[self._worker], 0)]
        busiest, load = max(loads.items(), key=lambda item: item[1])
        if load - loads[self._worker] < 2:
            return []
        return [self._random.choice([shard_id for shard_id, owner in owners.items() if owner == busiest])]

    def _owner(self, lease: Lease | None, now_s: float) -> str:
        """Who has a lease, as far as can be seen; nobody if it stands still."""
        if lease is None or lease.owner in {NOBODY, self._worker}:
            return NOBODY if lease is None else lease.owner
        owner, counter, since_s = self._moved.get(lease.shard_id, (NOBODY, 0, now_s))
        if (owner, counter) != (lease.owner, lease.counter):
            since_s = now_s
        self._moved[lease.shard_id] = (lease.owner, lease.counter, since_s)
        return NOBODY if now_s - since_s >= self._lease_s else lease.owner
