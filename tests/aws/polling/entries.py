"""A record as a poller holds it, before it becomes part of an event. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

HASH_MAX = 2**128 - 1


class Entry(NamedTuple):
    """A record of a stream: its number, the key whose order it keeps, when it arrived, and what is said of it.

    `content` is its part of an event, but for what names the shard.
    """

    sequence: str
    order_key: str
    arrived_at_ms: int
    content: Mapping[str, Any]

    @property
    def hash(self) -> int:
        """Where the key falls among the hash keys of shards: its MD5, as Kinesis has it."""
        return hash_of(self.order_key)


def hash_of(order_key: str) -> int:
    """The hash key of a partition key."""
    return int(hashlib.md5(order_key.encode(), usedforsecurity=False).hexdigest(), 16)


def payload_bytes(record: Mapping[str, Any]) -> int:
    """How much of an event's payload a record takes."""
    return len(json.dumps(record, separators=(",", ":")).encode()) + 1


def first_of(sequences: Sequence[str]) -> str:
    """The lowest sequence number. They are decimal numbers of any length."""
    return min(sequences, key=int)
