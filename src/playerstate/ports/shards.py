"""Logs that lie in shards, as Kinesis and DynamoDB streams do, for those who read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from playerstate.core.shards import Shard

T = TypeVar("T")

HORIZON = ""
"""The position before the oldest record that is there."""


class Batch(NamedTuple, Generic[T]):
    """Records of a shard, in order; perhaps none, though there are more.

    `position` is that of the last one read. `ended` says that the shard is closed and read to its end, `trimmed` that
    the record at which this went on was gone, so that others after it may have gone unread.
    """

    records: Sequence[T]
    position: str
    ended: bool = False
    trimmed: bool = False


class ShardReader(Protocol[T]):
    """Goes through one shard. For one thread at a time."""

    def read(self, limit: int) -> Batch[T]:
        """The next records, at most `limit`. Raises `NotNow`; the reader then stands where it was."""
        ...


class Shards(Protocol[T]):
    """A log in shards.

    - **Ordered** within a shard, and over a shard and its children: who reads a child after its parents
      (`core.shards.readable`) meets the records of a partition in order.
    - **Complete**: who goes on from a position misses nothing, but what has outlived the log's retention; that is told.
    - **At least once**: whoever goes on from an earlier position meets the same records again.
    """

    def shards(self) -> list[Shard]:
        """All shards of which something may still be there. Raises `NotNow`."""
        ...

    def reader(self, shard_id: str, after: str) -> ShardReader[T]:
        """Read a shard from behind a position on, which came from a `Batch` or is the `HORIZON`."""
        ...
