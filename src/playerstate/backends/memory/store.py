"""The store of rows and its changes, in memory."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from playerstate.backends.memory.log import Log
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.core.version_vector import later
from playerstate.ports.replication import Arrival
from playerstate.ports.store import Change


class _Stored(NamedTuple):
    version: str
    body: bytes


class _Committed(NamedTuple):
    key: Key
    region: str
    old: bytes | None
    new: bytes


class MemoryStore:
    """A `Store` that takes `Arrivals`; its `changes` are the `Changes` of the same rows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Key, dict[str, _Stored]] = {}
        self._order: list[Key] = []
        self._log: Log[_Committed] = Log()
        self.changes = MemoryChanges(self._log)

    def load(self, keys: Sequence[Key]) -> dict[Key, dict[str, bytes]]:
        """All regions' rows of each key."""
        with self._lock:
            return {key: self._bodies(key) for key in keys}

    def load_player(self, player_id: str) -> dict[Key, dict[str, bytes]]:
        """All rows of a player."""
        with self._lock:
            start = bisect_left(self._order, player_id, key=_player)
            end = bisect_right(self._order, player_id, lo=start, key=_player)
            return {key: self._bodies(key) for key in self._order[start:end]}

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """Try each group."""
        all_writes = [list(group) for group in groups]  # taken before anything is written: the source may fail
        with self._lock:
            return [self._commit_one(writes) for writes in all_writes]

    def receive(self, arrivals: Sequence[Arrival]) -> int:
        """Take other regions' rows that are later than what is here."""
        taken = 0
        with self._lock:
            for key, region, version, body in list(arrivals):
                current = self._rows.get(key, {}).get(region)
                if current is None or later(version, than=current.version):
                    self._put([_Committed(key, region, current.body if current else None, body)], [version])
                    taken += 1
        return taken

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        """The next keys in the order of player and state key."""
        with self._lock:
            start = bisect_right(self._order, after) if after else 0
            return self._order[start : start + limit]

    def sample(self, limit: int, random: Random) -> list[Key]:
        """Keys of rows at random."""
        with self._lock:
            rows = [key for key in self._order for _ in self._rows[key]]
        return random.choices(rows, k=limit) if rows else []

    def count(self) -> int:
        """How many rows there are."""
        with self._lock:
            return sum(map(len, self._rows.values()))

    def _bodies(self, key: Key) -> dict[str, bytes]:
        return {region: stored.body for region, stored in self._rows.get(key, {}).items()}

    def _commit_one(self, writes: Sequence[Write]) -> bool:
        staged: dict[tuple[Key, str], _Stored] = {}
        committed = []
        for write in writes:
            place = (write.key, write.region)
            current = staged.get(place) or self._rows.get(write.key, {}).get(write.region)
            if write.seen != (current.version if current else None):
                return False
            staged[place] = _Stored(write.version, write.new)
            committed.append(_Committed(*place, current.body if current else None, write.new))
        self._put(committed, [write.version for write in writes])
        return True

    def _put(self, committed: Sequence[_Committed], versions: Sequence[str]) -> None:
        for (key, region, _, new), version in zip(committed, versions, strict=True):
            if key not in self._rows:
                insort(self._order, key)
            self._rows.setdefault(key, {})[region] = _Stored(version, new)
        self._log.append(committed)  # last, so that whoever reads a change finds its row


class MemoryChanges:
    """The `Changes` of a store."""

    def __init__(self, log: Log[_Committed]) -> None:
        self._log = log

    def read(self, after: int, limit: int) -> list[Change]:
        """The next changes beyond a position."""
        return [Change(position, *committed) for position, committed in self._log.read(after, limit)]

    def head(self) -> int:
        """The position of the last change."""
        return self._log.head()

    def trim(self, up_to: int) -> int:
        """Delete changes up to a position."""
        return self._log.trim(up_to)


def _player(key: Key) -> str:
    return key.player_id
