"""Retire: what a region that is gone has left -> the rows of those that go on.

    keys -> [read all rows, take over rights, join what is nowhere else] -> store

The heir takes over the rights; it is one region, for two that take over before they hear of each other take twice.
Every other region runs it too, to see to it that no row of the gone one stays where only that region has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from playerstate.core.model import Key
from playerstate.core.replica import Replica, Write
from playerstate.core.retirement import left_behind, take_over
from playerstate.core.schema import Schema
from playerstate.core.wire import row_readers
from playerstate.errors import Unavailable
from playerstate.ports.clock import Clock
from playerstate.ports.store import Store

KEYS_MAX = 500
"""The most keys that one step of a walk looks at."""
TRIES_MAX = 20


class Retired(NamedTuple):
    """What a batch came to: rows written, the keys that have to come again, and rights taken over by state key."""

    rows_written: int
    again: list[Key]
    taken: Counter[str]


class Walked(NamedTuple):
    """A step of a walk: what it came to, and the last key that it saw to; None at the end."""

    keys: int
    rows_written: int
    taken: Counter[str]
    after: Key | None


class Retire:
    """The stage, in one region. Doing it again takes only what has become known since.

    `retired` tells, as for `Resolve`, which regions are gone: those that were retired before count no more as living.
    """

    def __init__(
        self,
        schema: Schema,
        region: str,
        store: Store,
        clock: Clock,
        *,
        retired: Callable[[], Collection[str]] = dict,
    ) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._clock = clock
        self._retired = retired
        self._readers = row_readers(schema)

    def handle(self, gone: str, keys: Sequence[Key], *, heir: bool = True) -> Retired:
        """See to what a region left of these keys; its rights are taken over if this region is the `heir`.

        Raises `NotNow` if it could not be done.
        """
        writes: list[Write] = []
        takes: list[int] = []
        for key, stored in self._store.load(list(dict.fromkeys(keys))).items():
            write, taken = self._write_for(gone, key, stored, heir=heir)
            if write is not None:
                writes.append(write)
                takes.append(taken)
        committed = self._store.commit([[write] for write in writes]) if writes else []
        again: list[Key] = []
        totals: Counter[str] = Counter()
        for write, taken, ok in zip(writes, takes, committed, strict=True):
            if not ok:
                again.append(write.key)
            elif taken:
                totals[write.key.state_key] += taken
        return Retired(sum(committed), again, totals)

    def walk(self, gone: str, after: Key | None = None, *, limit: int = KEYS_MAX, heir: bool = True) -> Walked:
        """Take the next step through everything that is stored, beyond a key; the caller keeps the place.

        Raises `NotNow` if it could not be finished; what was done of it is not done twice.
        """
        keys = self._store.keys(after, limit)
        rows_written, taken, again = 0, Counter[str](), keys
        for _ in range(TRIES_MAX):
            if not again:
                return Walked(len(keys), rows_written, taken, keys[-1] if keys else None)
            done = self.handle(gone, again, heir=heir)
            rows_written += done.rows_written
            taken += done.taken
            again = done.again
        if again:
            raise Unavailable("rows keep changing under the retirement")
        return Walked(len(keys), rows_written, taken, keys[-1])

    def _write_for(self, gone: str, key: Key, stored: dict[str, bytes], *, heir: bool) -> tuple[Write | None, int]:
        reader = self._readers[key.state_key]
        rows = {region: reader.decode(body) for region, body in stored.items()}
        spec, own = self._schema.keys[key.state_key], stored.get(self._region)
        replica = Replica(key, spec, self._schema.version, self._region, rows, own)
        now = self._clock.now_ms()
        taken = take_over(replica, gone, now) if heir else 0
        must = taken > 0 or left_behind(rows, {gone, *self._retired()})
        return (replica.write_joined(now) if must else None), taken
