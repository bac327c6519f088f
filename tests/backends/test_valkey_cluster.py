"""A cache on a cluster that changes: slots that move, nodes that die. Nothing is lost, nothing goes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count, islice
from pathlib import Path

import pytest

from conformance.cache_base import everybody, key, view
from conformance.suite import run_together
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.backends.valkey.cluster import ClusterConnections
from playerstate.backends.valkey.slots import slot_of
from playerstate.backends.valkey.trial import TRIES_MAX
from playerstate.errors import Unavailable
from playerstate.ports.cache import Put
from valkey_cluster import Cluster, Node, running_cluster
from waiting import wait_until

ANNA = "player:{anna}"
SLOT = slot_of(ANNA)


def namesakes(number: int) -> list[str]:
    """Other players whose slot is anna's."""
    names = (f"player {n}" for n in count())
    return list(islice((name for name in names if slot_of(f"player:{{{name}}}") == SLOT), number))


@pytest.fixture
def cache(valkey_cluster: Cluster) -> Iterator[ValkeyCache]:
    valkey_cluster.everywhere("FLUSHALL")
    with closing(ValkeyCache.open(valkey_cluster.url)) as cache:
        yield cache


@pytest.fixture
def source(valkey_cluster: Cluster) -> Node:
    return valkey_cluster.owner(ANNA)


@pytest.fixture
def target(valkey_cluster: Cluster, source: Node) -> Iterator[Node]:
    """Whither anna's slot is moved. Afterwards it is where it was."""
    target = valkey_cluster.other(source)
    yield target
    for node in valkey_cluster.primaries:
        node("CLUSTER", "SETSLOT", SLOT, "STABLE")
    if valkey_cluster.owner(ANNA) is target:
        valkey_cluster.move(SLOT, target, source)


def holds(cache: ValkeyCache, n: int) -> None:
    """Check that anna's gold stands at `n`, and goes on to n + 1, and not back."""
    assert cache.get(key()) == view(n)
    assert cache.versions([key()]) == [f"eu-west-1:{n}"]
    assert cache.put([view(n - 1), view(n + 1), view(n)]) == [Put.STALE, Put.WRITTEN, Put.STALE]
    assert cache.get_player("anna").views == {"gold": view(n + 1)}


def test_a_slot_moves(cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node) -> None:
    """Before it moves, while the player is still here, while he is there already, and when the slot has moved."""
    cache.put([view(1)])
    holds(cache, 1)
    valkey_cluster.begin_move(SLOT, source, target)
    holds(cache, 2)
    valkey_cluster.carry(SLOT, source, target)
    assert source("CLUSTER", "COUNTKEYSINSLOT", SLOT) == 0
    holds(cache, 3)
    valkey_cluster.end_move(SLOT, source, target)
    assert target("EXISTS", ANNA) == 1
    holds(cache, 4)


def test_players_of_a_slot_on_two_nodes(
    cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node
) -> None:
    """Of one batch some are still here, some there, some are new: no script has to take two of them at once."""
    bert, carl, *new = namesakes(4)
    players = ["anna", bert, carl, *new]
    cache.put([view(1, player_id=player_id) for player_id in players[:3]])
    valkey_cluster.begin_move(SLOT, source, target)
    valkey_cluster.carry(SLOT, source, target, 1)
    assert source("CLUSTER", "COUNTKEYSINSLOT", SLOT) == 2
    with pytest.raises(Unavailable, match="Multiple keys"):
        source("EVAL", "return 1", 3, *[f"player:{{{player_id}}}" for player_id in players[:3]])
    assert cache.put([view(2, player_id=player_id) for player_id in players]) == [Put.WRITTEN] * 5
    assert target("CLUSTER", "COUNTKEYSINSLOT", SLOT) == 3
    assert cache.versions([key(player_id) for player_id in players]) == ["eu-west-1:2"] * 5
    assert everybody(cache) == set(players)
    valkey_cluster.end_move(SLOT, source, target)
    assert cache.versions([key(player_id) for player_id in players]) == ["eu-west-1:2"] * 5


def test_a_script_that_is_unknown_where_the_slot_goes(
    cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node
) -> None:
    """The node that takes a slot over is given the scripts too."""
    cache.put([view(1)])
    valkey_cluster.begin_move(SLOT, source, target)
    valkey_cluster.carry(SLOT, source, target)
    target("SCRIPT", "FLUSH")
    assert cache.put([view(2)]) == [Put.WRITTEN]
    assert cache.get(key()) == view(2)


def test_writing_while_slots_move(cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node) -> None:
    """Whoever reads sees versions rise, and the last ones are there in the end, however often the slot is moved."""
    players = ["anna", *namesakes(6), *[f"elsewhere {n}" for n in range(20)]]
    newest = 60

    def write() -> None:
        for n in range(1, newest + 1):
            assert cache.put([view(n, player_id=player_id) for player_id in players]) == [Put.WRITTEN] * len(players)

    def read() -> None:
        last = 0
        while last < newest:
            found = cache.get(key())
            n = int(found.version.rpartition(":")[2]) if found else 0
            assert n >= last
            last = n

    def move() -> None:
        for giver, taker in [(source, target), (target, source)] * 4:
            valkey_cluster.begin_move(SLOT, giver, taker)
            for _ in range(4):
                with suppress(Unavailable):  # a key may be written at the same time
                    valkey_cluster.carry(SLOT, giver, taker, 2)
            valkey_cluster.end_move(SLOT, giver, taker)

    run_together(write, read, move)
    assert cache.versions([key(player_id) for player_id in players]) == [f"eu-west-1:{newest}"] * len(players)


@pytest.mark.parametrize("backwards", [False, True])
def test_walking_while_slots_move(
    cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node, backwards: bool
) -> None:
    """Who is there all the time is met, wherever the slot is by then, and on which side of the walk."""
    names = {"anna", *namesakes(3), *[f"player {n}" for n in range(40)]}
    cache.put([view(player_id=name) for name in names])
    if backwards:
        valkey_cluster.move(SLOT, source, target)
        source, target = target, source
    met, cursor = cache.players("", 5)
    valkey_cluster.begin_move(SLOT, source, target)
    for _ in range(2):
        found, cursor = cache.players(cursor, 5)
        met += found
    valkey_cluster.carry(SLOT, source, target, 2)
    while cursor:
        found, cursor = cache.players(cursor, 5)
        met += found
        if f"{SLOT}" < cursor:
            break
    valkey_cluster.end_move(SLOT, source, target)
    while cursor:
        found, cursor = cache.players(cursor, 5)
        met += found
    assert set(met) == names


def test_a_watch_ends_when_the_slot_moves(
    cache: ValkeyCache, valkey_cluster: Cluster, source: Node, target: Node
) -> None:
    """It is told, and whoever watches again hears what is written where the slot is now."""
    watch = cache.watch("anna", timeout_s=10)
    valkey_cluster.begin_move(SLOT, source, target)
    late = cache.watch("anna", timeout_s=10)
    valkey_cluster.end_move(SLOT, source, target)
    for one in (watch, late):
        with pytest.raises(Unavailable, match="moved"):
            next(one)
    again = cache.watch("anna", timeout_s=10)
    cache.put([view(7)])
    assert next(again) == view(7)


@pytest.fixture
def pauses() -> list[float]:
    """How long a cache has waited between its tries, in seconds."""
    return []


@pytest.fixture
def unserved(cache: ValkeyCache, valkey_cluster: Cluster, source: Node) -> Iterator[None]:
    """A cluster in which nobody serves anna's slot."""
    cache.put([view(1)])
    source("CLUSTER", "DELSLOTS", SLOT)
    yield
    with suppress(Unavailable):  # it is busy if it is served already
        serve(valkey_cluster, source)


def serve(cluster: Cluster, node: Node) -> None:
    """Have a node serve anna's slot again, and wait until all have heard of it."""
    node("CLUSTER", "ADDSLOTS", SLOT)
    wait_until(lambda: all(one.sees(3) for one in cluster.primaries), "the cluster does not serve")


@pytest.mark.usefixtures("unserved")
def test_a_slot_that_nobody_serves(valkey_cluster: Cluster, pauses: list[float]) -> None:
    """It is waited for, longer each time, a bounded number of times; then the call is `Unavailable`."""
    with closing(ValkeyCache(ClusterConnections(valkey_cluster.url, wait=pauses.append))) as patient:
        with pytest.raises(Unavailable):
            patient.get(key())
        assert len(pauses) == TRIES_MAX - 1
        assert pauses == sorted(set(pauses))


@pytest.mark.usefixtures("unserved")
def test_a_slot_that_is_served_again(
    cache: ValkeyCache, valkey_cluster: Cluster, source: Node, pauses: list[float]
) -> None:
    """Who waits for it is served, and needs to do nothing."""

    def wait(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 2:
            serve(valkey_cluster, source)

    with closing(ValkeyCache(ClusterConnections(valkey_cluster.url, wait=wait))) as patient:
        assert patient.put([view(2)]) == [Put.WRITTEN]
        assert cache.get(key()) == view(2)


def test_fail_over(tmp_path: Path) -> None:
    """When a replica takes over, by order or because the primary died, the cache goes on from what it had, perhaps
    after a while; what was written there before and copied is still newer than what is older.
    """
    with (
        running_cluster(tmp_path, replicas=1, node_timeout_ms=1000) as cluster,
        closing(ValkeyCache.open(cluster.url)) as cache,
    ):
        (replica,) = cluster.replicas
        first = cluster.primaries[0]
        names = (f"player {n}" for n in count())
        player_id = next(name for name in names if cluster.owner(f"player:{{{name}}}") is first)
        one = key(player_id)
        cache.put([view(1, player_id=player_id)])

        watch = cache.watch(player_id, timeout_s=10)
        replica("CLUSTER", "FAILOVER")
        wait_until(replica.is_primary, "no orderly fail-over")
        wait_until(lambda: bool(first("ROLE")[0] == b"slave" and first("ROLE")[3] == b"connected"))
        assert cache.put([view(2, player_id=player_id)]) == [Put.WRITTEN]
        with pytest.raises(Unavailable, match="moved"):
            next(watch)
        assert cache.put([view(1, player_id=player_id)]) == [Put.STALE]
        assert replica("HGET", f"player:{{{player_id}}}", "gold#v") == b"eu-west-1:2"

        watch = cache.watch(player_id, timeout_s=10)
        assert replica("WAIT", 1, 5000) == 1
        replica.kill()
        with pytest.raises(Unavailable):
            next(watch)
        with pytest.raises(Unavailable):
            cache.put([view(3, player_id=player_id)])
        wait_until(first.is_primary, "nobody took over")

        def written() -> bool:
            with suppress(Unavailable):
                return cache.put([view(3, player_id=player_id)]) == [Put.WRITTEN]
            return False

        wait_until(written, "the cache does not go on")
        assert cache.put([view(2, player_id=player_id)]) == [Put.STALE]
        assert cache.get(one) == view(3, player_id=player_id)
        assert everybody(cache) == {player_id}
