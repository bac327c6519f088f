"""Leases of shards, where all workers of a stage see them."""

from __future__ import annotations

from typing import Protocol

from playerstate.core.leases import Lease


class Leases(Protocol):
    """The leases of one stage's shards. Every change is conditional and counts the lease up.

    Who takes a lease has it until somebody else does; only its owner moves it or says how far a shard has been read.
    All calls raise `NotNow`, and those that change something `OutcomeUnknown`; each may be made again.
    """

    def all(self) -> list[Lease]:
        """All leases, as of every change that returned before."""
        ...

    def take(self, shard_id: str, seen: Lease | None, owner: str) -> Lease | None:
        """Make a lease one's own, if it is still as it was seen, None being no lease at all; None if it is not.

        The position in it is where the shard is to be read on.
        """
        ...

    def renew(self, shard_id: str, owner: str) -> bool:
        """Say that the owner lives. False if the lease is another's."""
        ...

    def save(self, shard_id: str, owner: str, position: str, *, ended: bool) -> bool:
        """Note how far the shard has been read. False, and nothing noted, if the lease is another's."""
        ...

    def release(self, shard_id: str, owner: str) -> None:
        """Give up a lease; nothing if it is another's."""
        ...

    def remove(self, shard_id: str) -> bool:
        """Delete the lease of a shard that is no more. False if there was none."""
        ...
