"""What every cache guarantees to those who check it: versions, what lies there, repairs, walks and samples."""

from __future__ import annotations

from random import Random

import pytest

from conformance.cache_base import CacheBase, everybody, key, view
from conformance.cache_writes import ODD_NAMES, ODD_VALUES
from playerstate.backends.valkey.cache import LOOKED_AT_ONCE
from playerstate.core.snapshots import Entry
from playerstate.ports.cache import Cache


class CacheLooksSuite(CacheBase):
    def test_versions_of_what_is_there_and_of_what_is_not(self, cache: Cache) -> None:
        """A version, None for a miss, "" for what is claimed to be unwritten; in the order asked for, also twice."""
        cache.put([view(3), view(2, player_id="bert", state_key="rank")])
        cache.fill("bert", [], cache.begin_fill("bert"))
        asked = [key("bert"), key(), key("carl"), key(), key("anna", "rank"), key("bert", "rank")]
        assert cache.versions(asked) == ["", "eu-west-1:3", None, "eu-west-1:3", None, "eu-west-1:2"]
        assert cache.versions([]) == []

    def test_versions_of_any_number_of_keys(self, cache: Cache) -> None:
        """However many are asked for, each gets its own answer."""
        views = [view(n, player_id=f"player {n}") for n in range(1, 2 * LOOKED_AT_ONCE + 2)]
        cache.put(views)
        cache.repair(views[LOOKED_AT_ONCE].key, f"eu-west-1:{LOOKED_AT_ONCE + 1}", None)
        expected: list[str | None] = [one.version for one in views]
        expected[LOOKED_AT_ONCE] = None
        assert cache.versions([one.key for one in views]) == expected

    def test_inspects_what_lies_there(self, cache: Cache) -> None:
        """Everything of each player, once for each time that he is asked for; nothing of who is not there."""
        assert cache.inspect([]) == []
        cache.put([view(3), view(1, state_key="rank"), view(2, player_id="bert")])
        cache.fill("bert", [], cache.begin_fill("bert"))
        cache.begin_fill("carl")
        anna = {"gold": Entry("eu-west-1:3", b'"at 3"'), "rank": Entry("eu-west-1:1", b'"at 1"')}
        bert = {"gold": Entry("eu-west-1:2", b'"at 2"')}
        assert cache.inspect(["bert", "anna", "dora", "carl", "anna"]) == [
            (bert, True),
            (anna, False),
            ({}, False),
            ({}, False),
            (anna, False),
        ]

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_are_seen_and_repaired(self, cache: Cache, name: str) -> None:
        """Any name that a player or a key may have."""
        odd = view(player_id=name, state_key=name)
        cache.put([odd, view(2, player_id=name)])
        assert cache.versions([odd.key]) == [odd.version]
        (found,) = cache.inspect([name])
        assert found.entries == {name: Entry(odd.version, bytes(odd.value)), "gold": Entry("eu-west-1:2", b'"at 2"')}
        assert cache.repair(odd.key, odd.version, None)
        assert cache.inspect([name])[0].entries.keys() == {"gold"} - ({name} if name == "gold" else set())

    @pytest.mark.parametrize("value", ODD_VALUES)
    def test_odd_values_are_seen_as_they_are(self, cache: Cache, value: str) -> None:
        """The bytes that were written, whatever they look like."""
        cache.put([view(value=value)])
        assert cache.inspect(["anna"]) == [({"gold": Entry("eu-west-1:1", value.encode())}, False)]

    def test_repair_of_what_is_not_there(self, cache: Cache) -> None:
        """ "" is the version of nothing: a view is written where there is none, and not over one."""
        assert cache.repair(key(), "", view(4))
        assert cache.get(key()) == view(4)
        assert not cache.repair(key(), "", view(5))
        assert not cache.repair(key(), "", None)
        assert cache.get(key()) == view(4)
        assert cache.repair(key(state_key="rank"), "", None)
        assert cache.get_player("anna") == ({"gold": view(4)}, False)
        assert cache.repair(key("nobody"), "", None)
        assert everybody(cache) == {"anna"}

    def test_repair_of_what_was_claimed_to_be_unwritten(self, cache: Cache) -> None:
        """It is written; who had everything still has everything."""
        cache.fill("anna", [view(1)], cache.begin_fill("anna"))
        assert cache.repair(key(state_key="rank"), "", view(2, state_key="rank"))
        assert cache.get_player("anna") == ({"gold": view(1), "rank": view(2, state_key="rank")}, True)

    def test_deleting_ends_the_claim_to_have_everything(self, cache: Cache) -> None:
        """Also where nothing was there to be deleted; a fill that began before does not bring it back."""
        for state_key, version in (("gold", "eu-west-1:1"), ("rank", "")):
            cache.clear()
            cache.fill("anna", [view(1), view(1, state_key="level")], cache.begin_fill("anna"))
            token = cache.begin_fill("anna")
            assert cache.repair(key(state_key=state_key), version, None)
            cache.fill("anna", [], token)
            assert cache.versions([key(state_key="unknown")]) == [None]
            assert not cache.inspect(["anna"])[0].complete

    def test_who_has_nothing_left_is_not_there(self, cache: Cache) -> None:
        """Of whom the last view was deleted, neither walks nor samples tell."""
        cache.put([view()])
        assert cache.repair(key(), "eu-west-1:1", None)
        assert everybody(cache) == set()
        assert cache.sample(5, Random(1)) == []

    def test_watchers_hear_of_repairs(self, cache: Cache) -> None:
        """A repaired view is written like any other, and told."""
        cache.put([view(9)])
        watch = cache.watch("anna", timeout_s=5)
        assert cache.repair(key(), "eu-west-1:9", view(4))
        assert next(watch) == view(4)

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    def test_walking_meets_everybody(self, cache: Cache, limit: int) -> None:
        """From "" to "", in pages of any size, also while others come and go."""
        names = {f"player {n}" for n in range(50)}
        cache.put([view(player_id=name) for name in names])
        met: set[str] = set()
        cursor = ""
        for n in range(10_000):
            found, cursor = cache.players(cursor, limit)
            met |= set(found)
            cache.put([view(player_id=f"passer-by {n}")])
            cache.repair(key(f"passer-by {n - 5}"), "eu-west-1:1", None)
            if not cursor:
                break
        assert cursor == ""
        assert met >= names

    def test_samples(self, cache: Cache) -> None:
        """Anybody may be drawn, and nobody who is not there; of an empty cache nobody is."""
        assert cache.sample(10, Random(1)) == []
        names = {f"player {n}" for n in range(8)}
        cache.put([view(player_id=name) for name in names])
        drawn: set[str] = set()
        for seed in range(100):
            some = cache.sample(5, Random(seed))
            assert len(some) <= 5
            drawn |= set(some)
        assert drawn == names
        assert cache.sample(0, Random(1)) == []
