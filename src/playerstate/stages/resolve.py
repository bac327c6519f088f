"""Resolve: keys whose rows differ between regions -> rows that contain them all, and rights where they are wanted.

    keys -> [read all rows, decide] -> store

What is to be done is decided anew from the rows that are there now: by the time a key comes here it may have been
done, by this region or by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from playerstate.core.check import unknown_key
from playerstate.core.fitting import ROW_BYTES_MAX
from playerstate.core.model import Key
from playerstate.core.replica import Replica, Write
from playerstate.core.resolution import must_join, must_write, sides_of
from playerstate.core.retirement import overspent
from playerstate.core.schema import Schema
from playerstate.core.wire import row_readers
from playerstate.ports.clock import Clock
from playerstate.ports.store import Store


class Resolved(NamedTuple):
    """What a batch came to: rows written, and the keys whose rows changed meanwhile, which have to come again.

    `overspent` are those whose value is below its minimum, by item how far: a region was retired that had spent more
    than its heir knew of. `joined` counts the conflicts that were resolved: rows in which concurrent ones were joined.
    """

    rows_written: int
    again: list[Key]
    overspent: dict[Key, dict[str, int]]
    joined: int = 0


class Resolve:
    """The stage, in one region. `retired` tells which regions are gone, and who is the heir of each."""

    def __init__(
        self,
        schema: Schema,
        region: str,
        store: Store,
        clock: Clock,
        *,
        retired: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._clock = clock
        self._retired = retired
        self._readers = row_readers(schema)

    def handle(self, keys: Sequence[Key]) -> Resolved:
        """Do what the keys' rows call for. Raises `NotNow` if it could not be done.

        Those that the schema does not have are left alone: another region may have a newer one.
        """
        writes: list[Write] = []
        joining: set[Key] = set()
        found: dict[Key, dict[str, int]] = {}
        known = [key for key in dict.fromkeys(keys) if key.state_key in self._schema.keys]
        for key, stored in self._store.load(known).items():
            replica, write, joins = self._write_for(key, stored)
            if write is not None:
                writes.append(write)
                joining |= {key} if joins else set()
            if below := overspent(replica.state, replica.spec):
                found[key] = below
        committed = self._store.commit([[write] for write in writes]) if writes else []
        again = [write.key for write, ok in zip(writes, committed, strict=True) if not ok]
        return Resolved(sum(committed), again, found, len(joining.difference(again)))

    @property
    def retired(self) -> Mapping[str, str]:
        """The regions that are gone now, and their heirs."""
        return self._retired()

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        """The next keys of all that are stored. After a retirement each has to be looked at."""
        return self._store.keys(after, limit)

    def check(self, key: Key) -> None:
        """Raise `InvalidUpdate` unless the schema has the key."""
        if key.state_key not in self._schema.keys:
            raise unknown_key(key.state_key, self._schema.keys, "$.state_key")

    def _write_for(self, key: Key, stored: dict[str, bytes]) -> tuple[Replica, Write | None, bool]:
        """The key as it is, what is to be written, and whether that joins concurrent rows."""
        reader = self._readers[key.state_key]
        rows = {region: reader.decode(body) for region, body in stored.items()}
        spec = self._schema.keys[key.state_key]
        own = stored.get(self._region)
        replica = Replica(key, spec, self._schema.version, self._region, rows, own)
        now = self._clock.now_ms()
        retired = self._retired()
        if not must_write(replica, rows, now, retired):
            return replica, None, False
        stepped = bool(replica.because)
        joins = must_join(rows, self._region, retired)
        write = replica.write_joined(now, sides_of(rows, spec) if joins else [])
        if not stepped and len(write.new) > ROW_BYTES_MAX:
            return replica, None, False  # no row can hold it all; readers go on joining
        return replica, write, joins
