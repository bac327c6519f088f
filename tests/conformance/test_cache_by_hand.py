"""What only somebody else at the server can do to a player: it is seen as it is, told apart, and put right for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest
import redis

from conformance.cache_base import key, view
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.core.comparison import Difference, compare_cache
from playerstate.core.findings import Kind
from playerstate.core.snapshots import Entry
from playerstate.ports.cache import Put

ANNA = "player:{anna}"
RIGHT = view(3)


@pytest.fixture(params=["server", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """One server, and a cluster."""
    if request.param == "server":
        return str(request.getfixturevalue("valkey_url"))
    return str(request.getfixturevalue("valkey_cluster").url)


@pytest.fixture
def cache(url: str) -> Iterator[ValkeyCache]:
    with closing(ValkeyCache.open(url)) as cache:
        cache.clear()
        cache.put([RIGHT])
        yield cache


@pytest.fixture
def hand(url: str) -> Iterator[redis.Redis | redis.RedisCluster]:
    """Any other client of the same server, or cluster."""
    if url.startswith("redis+cluster"):
        with redis.RedisCluster.from_url(f"redis://{url.rpartition(',')[2]}") as client:
            yield client
    else:
        with redis.Redis.from_url(url) as client:
            yield client


def differences(cache: ValkeyCache) -> list[Difference]:
    """How anna in the cache differs from a store that has her gold alone."""
    return list(compare_cache("anna", {"gold": RIGHT}, cache.inspect(["anna"])[0], ()))


def put_right(cache: ValkeyCache) -> None:
    """Repair all that differs, as verification does: replace what the store has, delete what it has not."""
    for one in differences(cache):
        assert cache.repair(one.key, one.found, RIGHT if one.key == RIGHT.key else None), one


def test_a_version_without_a_value(cache: ValkeyCache, hand: redis.Redis) -> None:
    """Readers miss it, and cannot fill it: it is older than nothing; checks take it for unwritten, which is wrong."""
    hand.hdel(ANNA, "gold")
    assert cache.get(key()) is None
    assert cache.get_player("anna").views == {}
    assert cache.versions([key()]) == [""]
    assert cache.inspect(["anna"]) == [({"gold": Entry("eu-west-1:3", None)}, False)]
    cache.fill("anna", [RIGHT], cache.begin_fill("anna"))
    assert cache.get(key()) is None
    assert [one.kind for one in differences(cache)] == [Kind.MISSING]
    put_right(cache)
    assert (cache.get(key()), differences(cache)) == (RIGHT, [])


@pytest.mark.parametrize("complete", [False, True])
def test_a_value_without_a_version(cache: ValkeyCache, hand: redis.Redis, complete: bool) -> None:
    """Readers miss it, or take it for unwritten where the player is said to be whole."""
    if complete:
        cache.fill("anna", [], cache.begin_fill("anna"))
    hand.hdel(ANNA, "gold#v")
    read = cache.get(key())
    assert (read.version if read else None) == cache.versions([key()])[0] == ("" if complete else None)
    assert cache.get_player("anna").views == {}
    assert cache.inspect(["anna"]) == [({"gold": Entry(None, b'"at 3"')}, complete)]
    assert [one.kind for one in differences(cache)] == [Kind.MISSING]
    put_right(cache)
    assert (cache.get(key()), differences(cache)) == (RIGHT, [])


def test_both_fields_of_a_key_deleted(cache: ValkeyCache, hand: redis.Redis) -> None:
    """A miss, which is nothing; but where the player is said to be whole it is shown as unwritten."""
    cache.put([view(1, state_key="rank")])
    hand.hdel(ANNA, "gold", "gold#v")
    assert (cache.get(key()), cache.versions([key()])) == (None, [None])
    assert cache.inspect(["anna"])[0].entries.keys() == {"rank"}
    hand.hset(ANNA, "#complete", "1")
    read = cache.get(key())
    assert read is not None
    assert (read.version, cache.versions([key()])) == ("", [""])
    assert {(one.key.state_key, one.kind) for one in differences(cache)} == {
        ("gold", Kind.LAGGING),
        ("rank", Kind.ORPHAN),
    }
    put_right(cache)
    assert (cache.get(key()), differences(cache)) == (RIGHT, [])


@pytest.mark.parametrize(
    "garbage",
    [
        b"banana",
        b"",
        b"eu-west-1:",
        b"eu-west-1:-1",
        b"\xff\xfe",
        b"eu-west-1:3\xff",
        b"\xed\xa0\x80",
        "é🗡️".encode(),
        b"9" * 99,
    ],
)
def test_a_version_that_is_none(cache: ValkeyCache, hand: redis.Redis, garbage: bytes) -> None:
    """Nobody breaks on it; it reaches nothing, is found, and put right on condition of exactly those bytes."""
    hand.hset(ANNA, "gold#v", garbage)
    read = cache.get(key())
    assert read is not None
    assert read == cache.get_player("anna").views["gold"]
    assert [read.version] == cache.versions([key()])
    (found,) = differences(cache)
    assert found.kind is (Kind.DIVERGED if garbage else Kind.LAGGING)
    assert not cache.repair(key(), found.found + "x", RIGHT)
    put_right(cache)
    assert (cache.get(key()), differences(cache)) == (RIGHT, [])


@pytest.mark.parametrize(
    "field",
    [
        b"gold#v#v",
        b"gold#v#v#v",
        b"gold#",
        b"#v",
        b"",
        b"#",
        b"##v",
        b"#complete#v",
        b"#fill#v",
        b"a#b",
        b"a#b#v",
        b"\xff",
        b"\xff#v",
    ],
)
def test_a_field_that_is_nobodys(cache: ValkeyCache, hand: redis.Redis, field: bytes) -> None:
    """It is an orphan; deleting it leaves alone what stands beside it, and then nothing is found any more."""
    hand.hset(ANNA, field, "7")
    assert cache.get(key()) == RIGHT
    assert cache.get_player("anna").views["gold"] == RIGHT
    assert [one.kind for one in differences(cache)] == [Kind.ORPHAN]
    put_right(cache)
    assert hand.hgetall(ANNA) == {b"gold": b'"at 3"', b"gold#v": b"eu-west-1:3"}


def test_the_mark_of_a_whole_player(cache: ValkeyCache, hand: redis.Redis) -> None:
    """Set or deleted by somebody else it is believed: it is no key, and there are no others."""
    for mark in ("#complete", "#fill"):
        hand.hset(ANNA, mark, "anything")
        assert cache.inspect(["anna"]) == [({"gold": Entry("eu-west-1:3", b'"at 3"')}, mark == "#complete")]
        hand.hdel(ANNA, mark)
        assert cache.inspect(["anna"])[0].complete is False


def test_names_that_look_like_a_players(cache: ValkeyCache, hand: redis.Redis) -> None:
    """What is not `player:{...}` is no player, whoever samples or walks."""
    names = ("player:{bert", "player:bert", "player:{}x", "other")
    for name in names:
        hand.set(name, "mine")
    try:
        found, cursor = cache.players("", 1000)
        assert (set(found), cursor) == ({"anna"}, "")
        drawn = {player_id for _ in range(100) for player_id in cache.sample(5, Random(1))}
        assert drawn == {"anna"}
    finally:
        for name in names:
            hand.delete(name)


@pytest.mark.parametrize("kind", ["string", "list"])
def test_something_that_is_no_players_hash(cache: ValkeyCache, hand: redis.Redis, kind: str) -> None:
    """It would hold up every batch that the player is in; it is deleted, and the player a miss like any other."""

    def put() -> None:
        hand.delete(ANNA)
        hand.set(ANNA, "x") if kind == "string" else hand.rpush(ANNA, "x")

    for ask in (
        lambda: cache.get(key()),
        lambda: cache.get_player("anna").views.get("gold"),
        lambda: cache.versions([key("other"), key()])[1],
        lambda: cache.inspect(["anna"])[0].entries.get("gold"),
    ):
        put()
        assert ask() is None
    put()
    assert cache.put([RIGHT]) == [Put.WRITTEN]
    put()
    cache.fill("anna", [RIGHT], cache.begin_fill("anna"))
    assert cache.get_player("anna") == ({"gold": RIGHT}, True)
