"""Which keys were erased, remembered in InfluxDB itself, and cheap to ask with every batch.

A *mark* is a point of the measurement `erasures`: which key, as a digest, so that the record of who was erased names
nobody, and its epoch. It stands at the time of the erasure, in the bucket of the transitions, and so outlives every
transition of a lower epoch: those are older, and a server takes none that are past the retention.

A process keeps one bit for each key that has a mark, and reads what is new with one query a batch. Only keys whose bit
is set are asked for one by one; those include the few that share a bit with one (a million marks make 6 % of all keys
such). Marks are found by the clocks of those who made them, which may differ by some minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from playerstate.backends.aws.influx_http import InfluxServer
from playerstate.backends.aws.influx_text import NS_PER_MS, TIME_MIN_NS, digest, time_ns
from playerstate.core.model import Key
from playerstate.errors import Unavailable
from playerstate.ports.clock import Clock

BITS = 2**24
OVERLAP_MS = 300_000
"""How far back a look goes again: a mark that comes into sight later than this after its time may be overlooked."""
PAGE_ROWS_MAX = 5_000
STATEMENTS_MAX = 100
MARK_TRIES_MAX = 5


class Mark(NamedTuple):
    """A key's erasure: its epoch, and whether what was recorded before it is known to be gone."""

    epoch: int
    done: bool


class Erasures:
    """The marks of a database, as one process knows them."""

    def __init__(self, server: InfluxServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._lock = threading.Lock()
        self._bits = bytearray(BITS // 8)
        self._looked_at_ms: int | None = None

    def of(self, keys: Collection[Key]) -> dict[Key, Mark]:
        """The marks of those of the keys that were erased, if they were there before this was called.

        Raises `NotNow`.
        """
        self._catch_up()
        with self._lock:
            suspects = [key for key in keys if self._is_set(_bit(key))]
        marks: dict[Key, Mark] = {}
        for begin in range(0, len(suspects), STATEMENTS_MAX):
            asked = suspects[begin : begin + STATEMENTS_MAX]
            for key, rows in zip(asked, self._server.query([_select(key) for key in asked]), strict=True):
                whole = [Mark(row["epoch"], bool(row["done"])) for row in rows if None not in row.values()]
                if whole:  # a mark is seen in parts while it is written
                    marks[key] = max(whole)
        return marks

    def mark(self, epochs: Mapping[Key, int], *, done: bool) -> None:
        """Remember erasures; they are, when this returns. Raises `NotNow`."""
        missing = dict(epochs)
        for later_ms in range(MARK_TRIES_MAX):
            at_ms = self._clock.now_ms() + later_ms
            self._server.write([_line(key, Mark(epoch, done), at_ms) for key, epoch in missing.items()])
            found = self.of(missing)
            # two marks may have met at one time, where the later is kept
            missing = {key: epoch for key, epoch in missing.items() if found.get(key, Mark(0, False)) < (epoch, done)}
            if not missing:
                return
        raise Unavailable("InfluxDB: marks of erasures that were written are not there")

    def _catch_up(self) -> None:
        """Set the bits of all marks that have come since the last look."""
        now_ms = self._clock.now_ms()
        looked_at_ms = self._looked_at_ms
        since = TIME_MIN_NS if looked_at_ms is None else (min(looked_at_ms, now_ms) - OVERLAP_MS) * NS_PER_MS
        while True:
            select = f"SELECT bit FROM erasures WHERE time >= {since} ORDER BY time LIMIT {PAGE_ROWS_MAX}"
            (rows,) = self._server.query([select])
            with self._lock:
                self._set([row["bit"] for row in rows])
            if len(rows) < PAGE_ROWS_MAX:
                break
            since = max(rows[-1]["time"], since + 1)
        self._looked_at_ms = now_ms

    def _set(self, bits: Iterable[int]) -> None:
        for bit in bits:
            self._bits[bit % BITS // 8] |= 1 << bit % 8

    def _is_set(self, bit: int) -> bool:
        return bool(self._bits[bit % BITS // 8] & 1 << bit % 8)


def _bit(key: Key) -> int:
    return int.from_bytes(digest(*key, size=4))


def _shelf(key: Key) -> str:
    """One of 256 series: so few that all of them are looked through at once."""
    return digest(*key, size=1).hex()


def _name(key: Key) -> str:
    return digest(*key, size=16).hex()


def _select(key: Key) -> str:
    return f"SELECT epoch, done FROM erasures WHERE shelf = '{_shelf(key)}' AND erased = '{_name(key)}'"


def _line(key: Key, mark: Mark, at_ms: int) -> str:
    fields = f'erased="{_name(key)}",bit={_bit(key)}i,epoch={mark.epoch}i,done={int(mark.done)}i'
    return f"erasures,shelf={_shelf(key)} {fields} {time_ns(at_ms, *key)}"
