"""What every cache guarantees of what is written to it, and of reading it."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance.cache_base import CacheBase, everybody, fresh_player, key, view
from conformance.suite import run_together
from playerstate.core.model import View
from playerstate.core.version_vector import Order, compare, format_vector, parse_vector
from playerstate.ports.cache import Cache, Put

# names that begin alike, and incarnations of one region, must not be taken for one another
REGIONS = ["eu", "eu-west-1", "eu-west-1.2", "us-east-1", "1", "-"]
counts = st.one_of(st.integers(0, 12), st.integers(2**53 - 2, 2**53 + 2), st.sampled_from([10**17, 10**18 - 1]))
vectors = st.dictionaries(st.sampled_from(REGIONS), counts, max_size=4)

ODD_VALUES = [
    "[]",
    "{}",
    '""',
    "null",
    "false",
    "9007199254740993",
    "123456789012345678901234567890",
    "-0.0",
    "1e400",
    '"#complete"',
    '"a#b#c#v"',
    '"\\u0000\\r\\n"',
    '"\x7f ‎ 🗡️ é"',
    '{"a":[],"b":{},"c":[null,{"#v":"x:1"}]}',
]
ODD_NAMES = ["a b", "*", "player:x", "é🗡️", "a:b,c", "%s%d", "[a-z]?", "\\", '"', "v", "complete", "fill"]

PUT_OF = {
    Order.AFTER: Put.WRITTEN,
    Order.EQUAL: Put.STALE,
    Order.BEFORE: Put.STALE,
    Order.CONCURRENT: Put.CONCURRENT,
}

relaxed = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class CacheWritesSuite(CacheBase):
    def test_new_cache_misses(self, cache: Cache) -> None:
        """Nothing is there, and nothing is known not to be."""
        assert cache.get(key()) is None
        assert cache.get_player("anna") == ({}, False)
        assert cache.put([]) == []

    def test_written_view_is_read(self, cache: Cache) -> None:
        """A view that was written is what is read, alone and with the player's others."""
        gold, rank = view(1), view(2, state_key="rank")
        assert cache.put([gold, rank]) == [Put.WRITTEN, Put.WRITTEN]
        assert cache.get(key()) == gold
        assert cache.get_player("anna") == ({"gold": gold, "rank": rank}, False)

    def test_older_and_equal_views_are_stale(self, cache: Cache) -> None:
        """A view whose version the cache has, or has gone beyond, changes nothing."""
        cache.put([view(10)])
        assert cache.put([view(10, value="1"), view(9, value="2"), view(2, value="3")]) == [Put.STALE] * 3
        assert cache.get(key()) == view(10)

    def test_concurrent_view_is_told_and_not_written(self, cache: Cache) -> None:
        """Where neither version covers the other, the cache says so and keeps what it has; their join goes over it."""
        mine, theirs = view(version="eu-west-1:4,us-east-1:1"), view(version="eu-west-1:3,us-east-1:2")
        cache.put([mine])
        assert cache.put([theirs]) == [Put.CONCURRENT]
        assert cache.get(key()) == mine
        assert cache.put([view(version="eu-west-1:4,us-east-1:2")]) == [Put.WRITTEN]

    @relaxed
    @given(held=vectors, offered=vectors)
    @example(held={"eu": 10}, offered={"eu": 9})
    @example(held={"eu": 2**53 + 1}, offered={"eu": 2**53})
    @example(held={"eu": 2**53, "1": 10}, offered={"eu": 2**53 + 1, "1": 9})
    @example(held={"eu-west-1": 1}, offered={"eu-west-1.2": 2})
    @example(held={"eu": 1, "us-east-1": 1}, offered={"eu": 2})
    def test_versions_are_compared_as_vectors(
        self, cache: Cache, held: dict[str, int], offered: dict[str, int]
    ) -> None:
        """The answer is that of the core's comparison, for counts of any size."""
        player_id = fresh_player()
        texts = [format_vector(held), format_vector(offered)]
        first, second = cache.put([view(version=text, player_id=player_id) for text in texts])
        assert first is Put.WRITTEN
        assert second is PUT_OF[compare(parse_vector(texts[1]), parse_vector(texts[0]))]

    @relaxed
    @given(steps=st.lists(st.sampled_from(REGIONS[:3]), min_size=1, max_size=15), data=st.data())
    def test_any_order_ends_with_the_newest(self, cache: Cache, steps: list[str], data: st.DataObject) -> None:
        """Views of one history, shuffled, repeated and in any batches, end with the newest and never go backwards."""
        player_id, vector, lineage = fresh_player(), {}, []
        for region in steps:
            vector[region] = vector.get(region, 0) + 1
            lineage.append(view(version=format_vector(vector), player_id=player_id))
        repeated = lineage + data.draw(st.lists(st.sampled_from(lineage)))
        offered = data.draw(st.permutations(repeated))
        batch_size = data.draw(st.integers(1, len(offered)))
        seen = []
        for begin in range(0, len(offered), batch_size):
            answers = cache.put(offered[begin : begin + batch_size])
            assert Put.CONCURRENT not in answers
            seen.append(lineage.index(cache.get(key(player_id))))
        assert seen == sorted(seen)
        assert seen[-1] == len(lineage) - 1

    def test_batch_of_any_size(self, cache: Cache) -> None:
        """Each view of a large batch gets its own answer, in order, also where a key comes many times."""
        views = [view(n, player_id=f"player {n % 7}") for n in range(1, 1301)]
        stale = [view(n, player_id=f"player {n % 7}") for n in range(600, 0, -1)]
        fresh = view(1, state_key="fresh")
        assert cache.put(views) == [Put.WRITTEN] * 1300
        assert cache.put([*stale, fresh, *stale]) == [Put.STALE] * 600 + [Put.WRITTEN] + [Put.STALE] * 600
        for newest in views[-7:]:
            assert cache.get(newest.key) == newest

    def test_values_of_any_size(self, cache: Cache) -> None:
        """Values of megabytes come back as they went in."""
        views = [view(n, state_key=f"k{n}", value=json.dumps(str(n) * 1_500_000)) for n in range(1, 5)]
        assert cache.put(views) == [Put.WRITTEN] * 4
        assert cache.get_player("anna").views == {v.state_key: v for v in views}

    @pytest.mark.parametrize("value", ODD_VALUES)
    def test_values_are_opaque(self, cache: Cache, value: str) -> None:
        """A value is the bytes that were written, whatever they look like."""
        for put_or_replace in (cache.put, cache.replace):
            cache.clear()
            put_or_replace([view(value=value)])
            assert cache.get(key()) == view(value=value)
            assert cache.get_player("anna").views == {"gold": view(value=value)}

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_names_are_opaque(self, cache: Cache, name: str) -> None:
        """Any name that a player or a key may have is kept apart from all others."""
        odd = view(player_id=name, state_key=name)
        other = view(2, player_id=name)
        cache.put([odd, other, view(3)])
        assert cache.get(key(name, name)) == odd
        assert cache.get_player(name).views == {name: odd, "gold": other}
        assert everybody(cache) == {name, "anna"}
        assert cache.get_player("anna").views == {"gold": view(3)}

    def test_replace_writes_whatever_is_there(self, cache: Cache) -> None:
        """A replacement goes over newer, equal and concurrent views alike."""
        for version in ("eu-west-1:9", "eu-west-1:4", "us-east-1:4"):
            cache.put([view(version=version)])
            cache.replace([view(4, value='"right"')])
            assert cache.get(key()) == view(4, value='"right"')
            cache.clear()

    def test_repair_of_exactly_one_version(self, cache: Cache) -> None:
        """A repair takes place if the cache still holds the version that was found wrong, and not otherwise."""
        cache.put([view(5), view(5, state_key="rank")])
        assert not cache.repair(key(), "eu-west-1:4", view(9))
        assert not cache.repair(key(), "", None)
        assert not cache.repair(key(state_key="unknown"), "eu-west-1:4", view(9))
        assert cache.get(key()) == view(5)
        assert cache.repair(key(), "eu-west-1:5", view(4, value='"right"'))
        assert cache.get(key()) == view(4, value='"right"')
        assert cache.repair(key(), "eu-west-1:4", None)
        assert not cache.repair(key(), "eu-west-1:4", None)
        assert cache.get_player("anna") == ({"rank": view(5, state_key="rank")}, False)

    def test_players_and_clear(self, cache: Cache) -> None:
        """Every player is listed until the cache is cleared, and then nothing is left."""
        names = {f"player {n}" for n in range(2500)}
        cache.put([view(player_id=name) for name in names])
        assert everybody(cache) == names
        cache.clear()
        assert everybody(cache) == set()
        assert cache.get(key("player 1")) is None

    def test_nobody_reads_a_torn_view(self, cache: Cache) -> None:
        """While views are written, everybody reads whole ones, and never one that is older than the one before."""
        newest = 400
        finished: list[int] = []

        def write(seed: int) -> None:
            offered = list(range(1, newest + 1))
            try:
                for at in range(0, newest, 20):  # nearly in order, so that there is something to see
                    part = offered[at : at + 20]
                    Random(seed).shuffle(part)
                    cache.put([view(n, state_key=k) for n in part for k in ("gold", "rank")])
            finally:
                finished.append(seed)

        def read() -> list[View]:
            seen: list[View] = []
            last_round = False
            while not last_round:
                last_round = len(finished) == 2
                one = cache.get(key())
                every = cache.get_player("anna").views
                seen += [v for v in (one, every.get("gold")) if v is not None]
            return seen

        for seen in run_together(lambda: write(1), lambda: write(2), read, read)[2:]:
            written = [parse_vector(v.version)["eu-west-1"] for v in seen]
            assert seen == [view(n) for n in written]
            assert all(one <= next_ for one, next_ in pairwise(written))
            assert written[-1] == newest
