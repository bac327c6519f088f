"""Shards that split, merge and are replaced. Pure.

The emulator's streams have shards that lose their records when they are split, so a poller lays shards of its own over
what it reads: a record belongs to the shard that is open at its hash key when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from aws.polling.entries import HASH_MAX


class Shard(NamedTuple):
    """A shard, the hash keys that it takes, and the shards that it took over from."""

    shard_id: str
    first_hash: int
    last_hash: int
    parents: tuple[str, ...] = ()


class Shards:
    """All shards of a stream that have been; `open` are those that take records."""

    def __init__(self, count: int = 1, *, name: Callable[[int], str] = lambda n: f"shardId-{n:012}") -> None:
        self._name = name
        self.all: dict[str, Shard] = {}
        self.open: dict[str, Shard] = {}
        width = (HASH_MAX + 1) // count
        for n in range(count):
            self._add(n * width, (n + 1) * width - 1 if n + 1 < count else HASH_MAX)

    def at(self, key_hash: int) -> Shard:
        """The open shard that takes a hash key."""
        return next(shard for shard in self.open.values() if shard.first_hash <= key_hash <= shard.last_hash)

    def split(self, shard_id: str) -> None:
        """Close a shard, and have two halves take over (`SplitShard`). The smallest is left alone."""
        shard = self.open[shard_id]
        middle = (shard.first_hash + shard.last_hash + 1) // 2
        if middle > shard.first_hash:
            del self.open[shard_id]
            self._add(shard.first_hash, middle - 1, (shard_id,))
            self._add(middle, shard.last_hash, (shard_id,))

    def merge(self, shard_id: str) -> None:
        """Close a shard and its neighbour, and have one take over from both (`MergeShards`). The last is left alone."""
        left = self.open[shard_id]
        right = next((shard for shard in self.open.values() if shard.first_hash == left.last_hash + 1), None)
        if right is not None:
            del self.open[shard_id], self.open[right.shard_id]
            self._add(left.first_hash, right.last_hash, (shard_id, right.shard_id))

    def roll(self, shard_id: str) -> None:
        """Close a shard, and have another take its place, as DynamoDB's streams do every few hours."""
        shard = self.open.pop(shard_id)
        self._add(shard.first_hash, shard.last_hash, (shard_id,))

    def may_be_read(self, shard: Shard, finished: Collection[str]) -> bool:
        """Whether a shard's turn has come, given those that are closed and read to their end.

        "Polling and batching streams", of resharding: a child is read once its parents are done with, for otherwise
        records of one key would be out of order.
        """
        return all(parent in finished for parent in shard.parents)

    def _add(self, first_hash: int, last_hash: int, parents: tuple[str, ...] = ()) -> None:
        shard = Shard(self._name(len(self.all)), first_hash, last_hash, parents)
        self.all[shard.shard_id] = self.open[shard.shard_id] = shard
