"""Repeats of what was sent before, mixed in at random, as impatient senders make them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from playerstate.core.model import Update

SHARE = 0.2
CHOICE_MAX = 10_000
"""How many earlier updates are kept to choose from."""


class Repeats:
    """Mixes repeats into a sequence of updates, about one to five; none without a seed.

    `count` counts them.
    """

    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - it has to be reproducible
        self._earlier: list[Update] = []
        self.count = 0

    def mixed_into(self, updates: Iterable[Update]) -> Iterator[Update]:
        """The updates in their order, some followed by one that came before, perhaps long before."""
        for update in updates:
            yield update
            if self._random is None:
                continue
            if len(self._earlier) < CHOICE_MAX:
                self._earlier.append(update)
            else:
                self._earlier[self._random.randrange(CHOICE_MAX)] = update
            if self._random.random() < SHARE:
                self.count += 1
                yield self._random.choice(self._earlier)
