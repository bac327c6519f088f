"""Resolve: keys whose rows differ between regions -> rows that contain them all, and rights where they are wanted.

    keys -> [read all rows, decide] -> store

What is to be done is decided anew from the rows that are there now: by the time a key comes here it may have been
done, by this region or by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from playerstate.core.check import unknown_key
from playerstate.core.fitting import ROW_BYTES_MAX
from playerstate.core.model import Key
from playerstate.core.replica import Replica, Write
from playerstate.core.resolution import must_join, must_write, sides_of
from playerstate.core.schema import Schema
from playerstate.core.wire import row_readers
from playerstate.ports.clock import Clock
from playerstate.ports.store import Store


class Resolved(NamedTuple):
    """What a batch came to: rows written, and the keys whose rows changed meanwhile, which have to come again."""

    rows_written: int
    again: list[Key]


class Resolve:
    """The stage, in one region."""

    def __init__(self, schema: Schema, region: str, store: Store, clock: Clock) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._clock = clock
        self._readers = row_readers(schema)

    def handle(self, keys: Sequence[Key]) -> Resolved:
        """Do what the keys' rows call for. Raises `NotNow` if it could not be done."""
        writes = []
        for key, stored in self._store.load(list(dict.fromkeys(keys))).items():
            write = self._write_for(key, stored)
            if write is not None:
                writes.append(write)
        committed = self._store.commit([[write] for write in writes]) if writes else []
        again = [write.key for write, ok in zip(writes, committed, strict=True) if not ok]
        return Resolved(sum(committed), again)

    def check(self, key: Key) -> None:
        """Raise `InvalidUpdate` unless the schema has the key."""
        if key.state_key not in self._schema.keys:
            raise unknown_key(key.state_key, self._schema.keys, "$.state_key")

    def _write_for(self, key: Key, stored: dict[str, bytes]) -> Write | None:
        reader = self._readers[key.state_key]
        rows = {region: reader.decode(body) for region, body in stored.items()}
        spec = self._schema.keys[key.state_key]
        own = stored.get(self._region)
        replica = Replica(key, spec, self._schema.version, self._region, rows, own)
        now = self._clock.now_ms()
        if not must_write(replica, rows, now):
            return None
        gave = bool(replica.because)
        joins = must_join(rows, self._region)
        write = replica.write_joined(now, sides_of(rows, spec) if joins else [])
        if joins and not gave and len(write.new) > ROW_BYTES_MAX:
            return None  # no row can hold it all; readers go on joining
        return write
