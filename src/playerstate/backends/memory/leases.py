"""Leases in memory."""

from __future__ import annotations

import threading

from playerstate.core.leases import NOBODY, Lease


class MemoryLeases:
    """`Leases` that workers of one process share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}

    def all(self) -> list[Lease]:
        """All leases."""
        with self._lock:
            return list(self._leases.values())

    def take(self, shard_id: str, seen: Lease | None, owner: str) -> Lease | None:
        """Make a lease one's own, if it is still as it was seen."""
        with self._lock:
            there = self._leases.get(shard_id)
            if there != seen:
                return None
            lease = there or Lease(shard_id)
            taken = self._leases[shard_id] = lease._replace(owner=owner, counter=lease.counter + 1)
            return taken

    def renew(self, shard_id: str, owner: str) -> bool:
        """Say that the owner lives."""
        return self._change(shard_id, owner)

    def save(self, shard_id: str, owner: str, position: str, *, ended: bool) -> bool:
        """Note how far the shard has been read."""
        return self._change(shard_id, owner, position=position, ended=ended)

    def release(self, shard_id: str, owner: str) -> None:
        """Give up a lease."""
        self._change(shard_id, owner, owner=NOBODY)

    def remove(self, shard_id: str) -> bool:
        """Delete the lease of a shard that is no more."""
        with self._lock:
            return self._leases.pop(shard_id, None) is not None

    def _change(self, shard_id: str, by: str, **fields: object) -> bool:
        with self._lock:
            there = self._leases.get(shard_id)
            if there is None or there.owner != by:
                return False
            self._leases[shard_id] = Lease(**{**there._asdict(), **fields, "counter": there.counter + 1})
            return True
