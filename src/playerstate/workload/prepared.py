"""A load that is ready before it is measured: the JSON text of updates, as a game server would send it.

Making text takes as much time as accepting it, so a pool of updates is made beforehand and sent lap after lap. Between
laps only one number in the text changes, so that every update is new: the sequence, or for distinct keys the player.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import msgspec

from playerstate.core.model import Op, Update
from playerstate.workload.life import Life

UPDATE_BYTES_MEAN = 1024
POOL_SIZE = 20_000
PLAYERS = 10_000
LOADOUT_BYTES = 6000
"""About as large as loadouts have to be for that mean."""

_SEQUENCE = b'"sequence":'


class Line(NamedTuple):
    """An update's text around the number that changes: at lap n it is `number + n * step`."""

    head: bytes
    number: int
    step: int
    tail: bytes


class Prepared:
    """An endless supply of updates as JSON text. `bytes_mean` and `bytes_median` are of their sizes."""

    def __init__(self, pool: Sequence[Line]) -> None:
        sizes = [len(line.head) + len(str(line.number)) + len(line.tail) for line in pool]
        self.bytes_mean = sum(sizes) / len(sizes)
        self.bytes_median = sorted(sizes)[len(sizes) // 2]
        self._texts = self._laps(pool)

    def take(self, n: int) -> list[bytes]:
        """The next `n` updates."""
        return list(islice(self._texts, n))

    @staticmethod
    def _laps(pool: Sequence[Line]) -> Iterator[bytes]:
        for lap in count():
            for head, number, step, tail in pool:
                yield b"%b%d%b" % (head, number + lap * step, tail)


def life_like(seed: int) -> Prepared:
    """The life-like mix, with loadouts of a size that makes the mean update `UPDATE_BYTES_MEAN` bytes."""
    life = Life(seed, players=PLAYERS, loadout_bytes=LOADOUT_BYTES)
    return Prepared(_sequence_lines(_of_mean_size([_stamped(update) for update in islice(life, POOL_SIZE)])))


def distinct(seed: int) -> Prepared:
    """Updates of `UPDATE_BYTES_MEAN` bytes, each on a key of its own of a player of its own: nothing coalesces."""
    filler = str(seed).ljust(UPDATE_BYTES_MEAN, "x")
    update = Update([Op("player-000000", "loadout", "set", value=filler)], "game-server-1", 1)
    text = msgspec.json.encode(_stamped(update))
    before, player, after = text.partition(b"player-")
    tail = after[len("000000") :].replace(b"x", b"", len(text) - UPDATE_BYTES_MEAN)
    return Prepared([Line(before + player, number, POOL_SIZE, tail) for number in range(POOL_SIZE)])


def _of_mean_size(updates: Sequence[Update]) -> list[Update]:
    """The updates with every loadout longer or shorter by as much as the mean of all is wrong."""
    mean = sum(len(msgspec.json.encode(update)) for update in updates) / len(updates)
    equipping = sum(_is_equipping(update) for update in updates)
    by = round((UPDATE_BYTES_MEAN - mean) * len(updates) / equipping)
    return [_resized(update, by) if _is_equipping(update) else update for update in updates]


def _is_equipping(update: Update) -> bool:
    return update.first_key.state_key == "loadout"


def _resized(update: Update, by: int) -> Update:
    (op,) = update.ops
    loadout = op.value if isinstance(op.value, dict) else {}
    build = str(loadout["build"])
    resized = {**loadout, "build": (build + build)[: len(build) + by]}
    return msgspec.structs.replace(update, ops=[msgspec.structs.replace(op, value=resized)])


def _sequence_lines(updates: Sequence[Update]) -> list[Line]:
    per_lap = Counter((update.producer, update.first_key) for update in updates)
    lines = []
    for update in updates:
        head, label, rest = msgspec.json.encode(update).rpartition(_SEQUENCE)
        tail = rest[len(str(update.sequence)) :]
        lines.append(Line(head + label, update.sequence, per_lap[update.producer, update.first_key], tail))
    return lines


def _stamped(update: Update) -> Update:
    return msgspec.structs.replace(update, sent_at=time.time_ns() // 1_000_000)
