"""Shards of a log, and which of them may be read when. Pure.

A log lies in shards. As load changes a shard is closed, and what follows goes to its children. So the records of a
partition are met in order only by who has done with the parents before a child.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Shard(NamedTuple):
    """A shard that can be read, or could a moment ago. One that is closed gets no further records."""

    shard_id: str
    parents: tuple[str, ...] = ()
    closed: bool = False


def readable(shards: Iterable[Shard], ended: Collection[str]) -> list[str]:
    """The shards whose turn it is, in the order given, when those in `ended` have been read to their end.

    A parent that is listed no more is gone with all it held, so nobody waits for it.
    """
    listed = list(shards)
    open_to_read = {shard.shard_id for shard in listed}.difference(ended)
    return [
        shard.shard_id for shard in listed if shard.shard_id in open_to_read and open_to_read.isdisjoint(shard.parents)
    ]
