"""The hot cache on a cluster: the whole suite, and what is peculiar to many nodes while nothing moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from conformance.cache import CacheSuite
from conformance.cache_base import everybody, key, view
from conformance.cache_machine import CacheMachine
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.valkey.batches import BATCH_VIEWS_MAX
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.errors import StartRefused, Unavailable
from playerstate.ports.cache import Put
from valkey_cluster import Cluster


@pytest.fixture
def cache(valkey_cluster: Cluster) -> Iterator[ValkeyCache]:
    valkey_cluster.everywhere("FLUSHALL")
    with closing(ValkeyCache.open(valkey_cluster.url)) as cache:
        yield cache


class TestValkeyClusterCache(CacheSuite):
    @pytest.fixture(autouse=True)
    def of_cluster(self, valkey_cluster: Cluster) -> None:
        self.cluster = valkey_cluster

    def lose_player(self, cache: ValkeyCache, player_id: str) -> None:
        cache._connections.call("DEL", f"player:{{{player_id}}}")

    def break_watches(self, cache: ValkeyCache) -> None:
        self.cluster.everywhere("CLIENT", "KILL", "TYPE", "pubsub")


def test_agrees_with_memory(cache: ValkeyCache) -> None:
    """Whatever is asked of both, they answer alike."""

    class Machine(CacheMachine):
        memory, valkey = MemoryCache(), cache

    few = settings(max_examples=2, stateful_step_count=8, deadline=None)
    run_state_machine_as_test(Machine, settings=few)


def test_answers_in_order(cache: ValkeyCache) -> None:
    """A batch of players of all nodes, some many times, gets its answers in its order; players' own order is kept."""
    players = [f"player {n % 700}" for n in range(2 * BATCH_VIEWS_MAX + 1)]
    views = [view(n % 3 + 1, player_id=player_id) for n, player_id in enumerate(players)]
    memory = MemoryCache()
    assert cache.put(views) == memory.put(views)
    keys = [one.key for one in views]
    assert cache.versions([*keys, key("nobody")]) == memory.versions([*keys, key("nobody")])
    assert cache.inspect([*players, "nobody"]) == memory.inspect([*players, "nobody"])
    cache.replace(reversed_views := views[::-1])
    memory.replace(reversed_views)
    assert cache.versions(keys) == memory.versions(keys)


def test_every_node_has_some(cache: ValkeyCache, valkey_cluster: Cluster) -> None:
    """Players are where a cluster has their slots, and walks, samples and clearing go over all nodes."""
    names = {f"player {n}" for n in range(90)}
    cache.put([view(player_id=name) for name in names])
    assert all(node("DBSIZE") > 0 for node in valkey_cluster.primaries)
    assert everybody(cache) == names
    assert len({valkey_cluster.owner(f"player:{{{name}}}") for name in cache.sample(60, Random(1))}) == 3
    cache.clear()
    assert all(node("DBSIZE") == 0 for node in valkey_cluster.primaries)


def test_other_things_stay(cache: ValkeyCache, valkey_cluster: Cluster) -> None:
    """What is not a player's is neither listed nor cleared."""
    names = ["players", "player:{a", "player:a}", "other"]
    for name in names:
        valkey_cluster.owner(name)("SET", name, "mine")
    cache.put([view()])
    assert everybody(cache) == {"anna"}
    cache.clear()
    assert sum(node("DBSIZE") for node in valkey_cluster.primaries) == len(names)


def test_marker(cache: ValkeyCache) -> None:
    """A cluster is claimed by one folder."""
    cache.claim("mine")
    cache.claim("mine")
    with pytest.raises(StartRefused):
        cache.claim("another's")


@pytest.mark.parametrize("forgetful", [0, 1, 2])
def test_script_forgotten_by_one_node(cache: ValkeyCache, valkey_cluster: Cluster, forgetful: int) -> None:
    """A node that does not know a script is given it, once, in the middle of a batch for all."""
    players = [f"player {n}" for n in range(200)]
    cache.put([view(1, player_id=player_id) for player_id in players])
    node = valkey_cluster.primaries[forgetful]
    node("SCRIPT", "FLUSH")
    node("CONFIG", "RESETSTAT")
    assert cache.put([view(2, player_id=player_id) for player_id in players]) == [Put.WRITTEN] * len(players)
    assert b"cmdstat_eval:calls=1," in node("INFO", "commandstats")


def test_broken_connections(cache: ValkeyCache, valkey_cluster: Cluster) -> None:
    """Connections that broke while they were idle are not noticed by the caller."""
    for n in range(1, 4):
        valkey_cluster.everywhere("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        views = [view(n, player_id=f"player {number}") for number in range(50)]
        assert cache.put(views) == [Put.WRITTEN] * 50
        valkey_cluster.everywhere("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert cache.get(views[7].key) == views[7]


def test_error_of_one_node(cache: ValkeyCache, valkey_cluster: Cluster) -> None:
    """An error that one node answers to some of a batch is `Unavailable`, and does no harm to what follows."""
    views = [view(player_id=f"player {n}") for n in range(50)]
    node = valkey_cluster.primaries[1]
    node("ACL", "SETUSER", "default", "-evalsha", "-eval")
    try:
        with pytest.raises(Unavailable) as caught:
            cache.put(views)
        assert isinstance(caught.value.__cause__, redis.ResponseError)
    finally:
        node("ACL", "SETUSER", "default", "+@all")
    assert set(cache.put(views)) == {Put.WRITTEN, Put.STALE}
    assert cache.versions([one.key for one in views]) == ["eu-west-1:1"] * 50


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a,,b",
        "rediss+cluster://host:1/1",
        "redis+cluster://host:nan",
        "redis+cluster://[::1",
    ],
)
def test_wrong_url(url: str) -> None:
    """A URL that names no nodes, or a database, is refused at once."""
    with pytest.raises(StartRefused, match="redis"):
        ValkeyCache.open(url)


def test_a_password_is_not_quoted() -> None:
    """What is wrong with a URL is said without its password."""
    with pytest.raises(StartRefused) as caught:
        ValkeyCache.open("redis://user:sec/ret@host")
    assert "sec" not in str(caught.value)


def test_no_cluster(valkey_url: str) -> None:
    """Without a node every call is `Unavailable`; opening the cache is not a call."""
    with closing(ValkeyCache.open("redis+cluster://127.0.0.1:1,127.0.0.1:2")) as cache:
        for attempt in (
            lambda: cache.put([view()]),
            lambda: cache.get(key()),
            lambda: cache.watch("anna", timeout_s=0.01),
            lambda: cache.players("", 10),
        ):
            with pytest.raises(Unavailable):
                attempt()
