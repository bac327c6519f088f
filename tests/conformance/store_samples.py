"""What every store guarantees to those who draw samples from it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from builders import write
from conformance.store_base import OnAStore, StoreWithChanges
from playerstate.core.model import Key

KEYS = [Key(player_id, name) for player_id in ("anna", "bob", "#", "é🗡️") for name in ("gold", "gold2")]


class StoreSamplesSuite(OnAStore):
    def test_an_empty_store_has_no_samples(self, store: StoreWithChanges) -> None:
        """Nothing can be drawn, and there is nothing to count."""
        assert store.sample(5, Random(1)) == []
        assert store.count() == 0

    def test_every_row_can_be_drawn_and_no_other(self, store: StoreWithChanges) -> None:
        """However few, those of another region too; keys that were refused, or are not there any more, are none."""
        there = [*KEYS[:5], KEYS[7]]
        store.commit([[write(key, 1)] for key in there])
        store.commit([[write(KEYS[0], 1, region="us-east-1")], [write(KEYS[5], 2, after=write(KEYS[5], 1))]])
        store.commit([[write(KEYS[0], 1)], [write(KEYS[6], 1), write(KEYS[1], 1)]])  # refused, and so all of its group
        store.commit([[write(KEYS[1], 2, after=write(KEYS[1], 1))]])
        drawn = Counter(key for seed in range(60) for key in store.sample(20, Random(seed)))
        assert set(drawn) == set(there)
        assert store.count() == len(there) + 1

    @pytest.mark.usefixtures("evenly_drawn")
    def test_rows_are_drawn_alike(self, store: StoreWithChanges) -> None:
        """Each row is as likely as any other: a key with the rows of two regions is drawn twice as often."""
        store.commit([[write(key, 1)] for key in KEYS])
        store.commit([[write(KEYS[0], 1, region="us-east-1")]])
        drawn = Counter(store.sample(9_000, Random(7)))
        assert drawn.total() == 9_000
        assert 1_800 <= drawn[KEYS[0]] <= 2_200
        assert all(800 <= drawn[key] <= 1_200 for key in KEYS[1:])

    def test_the_same_random_draws_the_same(self, store: StoreWithChanges) -> None:
        """Another one draws others, and no more than were asked for."""
        store.commit([[write(key, 1)] for key in KEYS])
        one, other = store.sample(50, Random(1)), store.sample(50, Random(2))
        assert store.sample(50, Random(1)) == one != other
        assert len(store.sample(3, Random(3))) <= 3
        assert store.sample(0, Random(3)) == []
