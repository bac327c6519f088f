"""What every store guarantees of other regions' rows."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from builders import KEY, row_bytes, write
from conformance.store_base import OTHER, OnAStoreTakingArrivals, StoreTakingArrivals, told
from conformance.suite import Broken, BrokenInputError, crashed_copy, run_together
from playerstate.core.model import Key
from playerstate.core.version_vector import VersionVector, format_vector
from playerstate.ports.replication import Arrival

HERE = "eu-west-1"
THERE = "us-east-1"


def arrival(vector: VersionVector, *, key: Key = KEY, region: str = THERE) -> Arrival:
    return Arrival(key, region, format_vector(vector), row_bytes(vector))


class ArrivalsSuite(OnAStoreTakingArrivals):
    def test_the_first_row_of_a_region(self, store: StoreTakingArrivals) -> None:
        """It stands beside the region's own, and is told as a change from nothing."""
        own = write(KEY, 1, region=HERE)
        store.commit([[own]])
        came = arrival({THERE: 3})
        assert store.receive([came]) == 1
        assert store.load([KEY]) == {KEY: {HERE: own.new, THERE: came.body}}
        assert told(store) == [(KEY, None, own.new), (KEY, None, came.body)]
        assert store.changes.read(0, 10)[-1].region == THERE

    def test_a_later_row_replaces_an_earlier_one(self, store: StoreTakingArrivals) -> None:
        """Also when it counts no step more of its own region, for a join counts others'."""
        came = [arrival({THERE: 1}), arrival({THERE: 2}), arrival({THERE: 2, HERE: 1}), arrival({THERE: 9, HERE: 4})]
        for one in came:
            assert store.receive([one]) == 1
        bodies = [one.body for one in came]
        assert told(store) == [(KEY, old, new) for old, new in zip([None, *bodies[:-1]], bodies, strict=True)]

    @pytest.mark.parametrize("vector", [{THERE: 2, HERE: 1}, {THERE: 2}, {THERE: 1, HERE: 1}])
    def test_what_is_not_later_changes_nothing(self, store: StoreTakingArrivals, vector: VersionVector) -> None:
        """Neither the row, nor what is told."""
        latest = arrival({THERE: 2, HERE: 1})
        store.receive([latest])
        assert store.receive([arrival(vector)]) == 0
        assert told(store) == [(KEY, None, latest.body)]

    @pytest.mark.parametrize("seed", range(5))
    def test_order_and_repetition_do_not_matter(self, store: StoreTakingArrivals, seed: int) -> None:
        """Whatever came, and how often, the latest of each region's rows stays."""
        came = [
            arrival({region: n, HERE: n // 3}, key=key, region=region)
            for key in (KEY, OTHER)
            for region in (THERE, "ap-northeast-1")
            for n in range(1, 8)
        ]
        mixed = random.Random(seed).choices(came, k=40) + came
        random.Random(seed).shuffle(mixed)
        while mixed:
            size = random.Random(len(mixed)).randint(1, 9)
            store.receive(mixed[:size])
            mixed = mixed[size:]
        latest = {(one.key, one.region): one.body for one in came}
        for key, rows in store.load([KEY, OTHER]).items():
            assert rows == {region: body for (of, region), body in latest.items() if of == key}

    def test_one_batch_may_hold_a_row_twice(self, store: StoreTakingArrivals) -> None:
        """Each is taken upon the one before it, or not at all."""
        first, second = arrival({THERE: 1}), arrival({THERE: 2})
        assert store.receive([first, second, first]) == 2
        assert store.load([KEY])[KEY] == {THERE: second.body}

    def test_nothing(self, store: StoreTakingArrivals) -> None:
        """No rows change nothing."""
        assert store.receive([]) == 0
        assert store.changes.head() == 0

    def test_all_or_none(self, store: StoreTakingArrivals) -> None:
        """A batch that breaks half-way leaves no trace."""
        with pytest.raises(BrokenInputError):
            store.receive(Broken(arrival({THERE: 1}), arrival({THERE: 1}, key=OTHER)))
        assert told(store) == []
        assert store.load([KEY]) == {KEY: {}}

    def test_commits_go_on_beside_arrivals(self, store: StoreTakingArrivals) -> None:
        """One thread writes this region's rows, others bring other regions'; nothing of either is lost."""
        regions = [THERE, "ap-northeast-1"]

        def write_own() -> None:
            last = None
            for n in range(1, 31):
                after = write(KEY, n, after=last, region=HERE)
                assert store.commit([[after]]) == [True]
                last = after

        def bring(region: str) -> None:
            for n in range(1, 31):
                assert store.receive([arrival({region: n}, region=region)]) == 1

        run_together(write_own, *[partial(bring, region) for region in regions])
        assert store.load([KEY])[KEY] == {region: row_bytes({region: 30}) for region in regions} | {
            HERE: write(KEY, 30, region=HERE).new
        }
        assert store.changes.head() == 90

    @pytest.mark.usefixtures("durable")
    def test_outlive_a_crash(self, path: Path) -> None:
        """What was received is there after a kill, and so is the change that tells of it."""
        with self.open(path) as store:
            came = arrival({THERE: 1})
            store.receive([came])
            with self.open(crashed_copy(path)) as after:
                assert after.load([KEY])[KEY] == {THERE: came.body}
                assert told(after) == [(KEY, None, came.body)]
