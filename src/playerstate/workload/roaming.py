"""A life-like load spread over regions: players are at home in one, and now and then play, trade or are given something
in another.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from playerstate.core.model import Key, Update

AWAY_SHARE = 0.3
"""How many of a player's updates come from another region than the player's own."""


class Placed(NamedTuple):
    """An update, and the region that it is sent to."""

    region: str
    update: Update


class Roaming:
    """The updates of a load, each with its region; the same arguments give the same.

    The servers of a region are producers of their own, so they are named and numbered anew.
    """

    def __init__(self, updates: Iterable[Update], regions: Sequence[str], *, seed: int) -> None:
        self._updates: Iterator[Update] = iter(updates)
        self._regions = list(regions)
        self._random = random.Random(seed)  # noqa: S311 - it has to be reproducible
        self._homes: dict[str, str] = {}
        self._sequences: Counter[tuple[str, Key]] = Counter()

    def __iter__(self) -> Iterator[Placed]:
        return self

    def __next__(self) -> Placed:
        update = next(self._updates)
        region = self._homes.setdefault(update.first_key.player_id, self._random.choice(self._regions))
        if self._random.random() < AWAY_SHARE:
            region = self._random.choice([other for other in self._regions if other != region])
        producer = f"{update.producer}.{region}"
        self._sequences[producer, update.first_key] += 1
        sequence = self._sequences[producer, update.first_key]
        return Placed(region, msgspec.structs.replace(update, producer=producer, sequence=sequence))
