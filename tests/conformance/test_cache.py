"""The caches, each against the suite; and what is peculiar to Valkey."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import pytest
import redis
from hypothesis.stateful import run_state_machine_as_test

from conformance.cache import CacheSuite
from conformance.cache_base import everybody, key, view
from conformance.cache_machine import CACHE_MACHINE_SETTINGS, CacheMachine
from conformance.suite import run_together
from playerstate.backends.memory.cache import WATCHER_BACKLOG_MAX, MemoryCache
from playerstate.backends.valkey.batches import BATCH_BYTES_MAX, BATCH_VIEWS_MAX, batches
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.backends.valkey.connections import Connections
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.errors import StartRefused, Unavailable
from playerstate.ports.cache import Put


class TestMemoryCache(CacheSuite):
    @pytest.fixture
    def cache(self) -> MemoryCache:
        return MemoryCache()

    def lose_player(self, cache: MemoryCache, player_id: str) -> None:
        cache.evict(player_id)

    def break_watches(self, cache: MemoryCache) -> None:
        cache.lose()

    def test_lose(self, cache: MemoryCache) -> None:
        """A lost cache is an empty one."""
        cache.fill("anna", [view(1)], cache.begin_fill("anna"))
        cache.lose()
        assert cache.get_player("anna") == ({}, False)

    def test_slow_watcher(self, cache: MemoryCache) -> None:
        """Whoever does not listen to what he watches is cut off, and told."""
        watch = cache.watch("anna", timeout_s=0)
        cache.put([view(n) for n in range(1, WATCHER_BACKLOG_MAX + 2)])
        with pytest.raises(Unavailable):
            list(islice(watch, 2 * WATCHER_BACKLOG_MAX))


@pytest.fixture
def valkey_cache(valkey_url: str) -> Iterator[ValkeyCache]:
    with closing(ValkeyCache.open(valkey_url)) as cache:
        cache.clear()
        yield cache


@pytest.fixture
def plain(valkey_url: str) -> Iterator[redis.Redis]:
    """Any other client of the same server."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


class TestValkeyCache(CacheSuite):
    @pytest.fixture
    def cache(self, valkey_cache: ValkeyCache) -> ValkeyCache:
        return valkey_cache

    def lose_player(self, cache: ValkeyCache, player_id: str) -> None:
        cache._connections.call("DEL", f"player:{{{player_id}}}")

    def break_watches(self, cache: ValkeyCache) -> None:
        cache._connections.call("CLIENT", "KILL", "TYPE", "pubsub")


class TestValkeyOnly:
    def test_agrees_with_memory(self, valkey_cache: ValkeyCache) -> None:
        """Whatever is asked of both, they answer alike."""

        class Machine(CacheMachine):
            memory, valkey = MemoryCache(), valkey_cache

        run_state_machine_as_test(Machine, settings=CACHE_MACHINE_SETTINGS)

    def test_any_client_reads_values(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """A value is plain JSON in the field that is named as the key, in the hash that is named for the player."""
        valkey_cache.fill("anna", [view(7, value='{"sword":1}')], valkey_cache.begin_fill("anna"))
        assert plain.hgetall("player:{anna}") == {
            b"gold": b'{"sword":1}',
            b"gold#v": b"eu-west-1:7",
            b"#complete": b"1",
        }

    def test_other_things_on_the_server(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """What is not a player's is neither listed nor cleared."""
        plain.set("players", "mine")
        valkey_cache.put([view()])
        assert everybody(valkey_cache) == {"anna"}
        valkey_cache.clear()
        assert plain.get("players") == b"mine"
        assert everybody(valkey_cache) == set()

    def test_forgotten_scripts(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """A server that does not know the scripts, or knows them no more, is given them."""
        for n in range(1, 4):
            plain.script_flush()
            assert valkey_cache.put([view(n)]) == [Put.WRITTEN]

    def test_error_of_the_server(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """An error that the server answers is `Unavailable`, caused by it, and does no harm to what follows."""
        commands = ("evalsha", "eval", "hmget", "hgetall")
        plain.execute_command("ACL", "SETUSER", "default", *[f"-{command}" for command in commands])
        try:
            for attempt in (
                lambda: valkey_cache.put([view()]),
                lambda: valkey_cache.get(key()),
                lambda: valkey_cache.get_player("anna"),
            ):
                with pytest.raises(Unavailable) as caught:
                    attempt()
                assert isinstance(caught.value.__cause__, redis.ResponseError)
        finally:
            plain.execute_command("ACL", "SETUSER", "default", "+@all")
        assert valkey_cache.put([view(player_id="bert")]) == [Put.WRITTEN]

    def test_broken_connections(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """A connection that broke while it was idle is not noticed by the caller."""
        for n in range(1, 4):
            run_together(*[lambda: valkey_cache.get(key())] * 3)
            plain.client_kill_filter(_type="normal", skipme=True)
            assert valkey_cache.put([view(n)]) == [Put.WRITTEN]
            plain.client_kill_filter(_type="normal", skipme=True)
            assert valkey_cache.get(key()) == view(n)

    def test_late_answer(self, valkey_url: str, plain: redis.Redis) -> None:
        """A command that takes too long is `Unavailable`, and its late answer never that of another command."""
        cache = ValkeyCache(Connections(valkey_url, answer_timeout_s=0.5))
        cache.put([view(1), view(1, player_id="bert")])
        plain.client_pause(timeout=60_000, all=False)  # writes alone: nothing else could end it
        with pytest.raises(Unavailable):
            cache.put([view(2)])
        plain.client_unpause()
        assert cache.get(key("bert")) == view(1, player_id="bert")
        cache.close()

    def test_server_that_became_a_replica(self, valkey_cache: ValkeyCache, plain: redis.Redis) -> None:
        """After a fail-over a connection to what was the primary is not kept: the name leads elsewhere by now."""
        before = valkey_cache._connections.call("CLIENT", "ID")
        plain.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(Unavailable):
                valkey_cache.put([view()])
        finally:
            plain.replicaof("NO", "ONE")
        assert valkey_cache._connections.call("CLIENT", "ID") != before
        assert valkey_cache.put([view()]) == [Put.WRITTEN]

    def test_forked_process(self, valkey_cache: ValkeyCache) -> None:
        """A forked process has connections of its own, and leaves its parent's in peace."""

        def connection() -> int:
            return int(valkey_cache._connections.call("CLIENT", "ID"))

        ours = connection()
        child = os.fork()
        if child == 0:
            verdict = 1
            with suppress(Exception):
                verdict = 0 if connection() != ours else 2
            os._exit(verdict)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert connection() == ours

    def test_no_server(self, tmp_path: Path) -> None:
        """Without a server every call is `Unavailable`; opening the cache is not a call."""
        cache = ValkeyCache.open(f"unix://{tmp_path}/none.sock")
        for attempt in (
            lambda: cache.put([view()]),
            lambda: cache.get(key()),
            lambda: cache.watch("anna", timeout_s=0.01),
            lambda: cache.players("", 10),
        ):
            with pytest.raises(Unavailable):
                attempt()

    def test_server_comes_back(self, tmp_path: Path) -> None:
        """A cache goes on with a server that was ended and started again, and is empty then."""
        server = ValkeyServer(tmp_path, maxmemory_mb=16, marker="m")
        server.start()
        with closing(ValkeyCache.open(server.url)) as cache:
            cache.put([view()])
            server.stop()
            with pytest.raises(Unavailable):
                cache.get(key())
            server.start()
            assert cache.get(key()) is None
            server.stop()

    @pytest.mark.parametrize("url", ["", "/tmp/socket", "http://host", "memcached://host:1"])
    def test_wrong_url(self, url: str) -> None:
        """A URL of another kind is refused at once."""
        with pytest.raises(StartRefused, match="redis://"):
            ValkeyCache.open(url)

    def test_url_cannot_change_how_replies_are_read(self, valkey_url: str) -> None:
        """Options of the URL that would spoil the reading of replies have no effect."""
        with closing(ValkeyCache.open(f"{valkey_url}?protocol=3&decode_responses=True")) as cache:
            cache.put([view(1)])
            assert cache.get(key()) == view(1)
            assert cache.get_player("anna").views == {"gold": view(1)}


class TestBatches:
    def test_batches_are_bounded(self) -> None:
        """Every batch but that of a single view keeps within both bounds, and none is lost or moved."""
        large = view(value="1" * (BATCH_BYTES_MAX // 3))
        huge = view(value="1" * (2 * BATCH_BYTES_MAX))
        views = [large] * 7 + [huge, huge] + [view()] * (2 * BATCH_VIEWS_MAX + 1) + [large] * 4
        groups = batches(views)
        assert [one for group in groups for one in group] == views
        for group in groups:
            assert len(group) <= BATCH_VIEWS_MAX
            assert len(group) == 1 or sum(len(one.value) for one in group) <= BATCH_BYTES_MAX
        assert len(groups) == 9
        assert batches([]) == []
