"""Many commands to one server at once: what comes in place of replies that do not come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from time import monotonic

import pytest
import redis

from playerstate.backends.valkey.connections import Connections, pack
from playerstate.backends.valkey.pipeline import Pipeline
from valkey_cluster import Cluster, Node

SET, GET = pack(("SET", "{a}", "1")), pack(("GET", "{a}"))
NEVER = float("inf")


@pytest.fixture
def node(valkey_cluster: Cluster) -> Node:
    return valkey_cluster.owner("{a}")


@pytest.fixture
def connections(node: Node) -> Iterator[Connections]:
    """With more patience than any test has."""
    with closing(Connections(f"redis://127.0.0.1:{node.port}", answer_timeout_s=600)) as connections:
        yield connections


def test_replies_and_errors_in_their_order(connections: Connections) -> None:
    """An error takes the place of its reply, and the connection is used again."""
    for _ in range(2):
        pipeline = Pipeline(connections)
        pipeline.write([SET, pack(("HGET", "{a}", "f")), GET], NEVER)
        first, error, last = pipeline.read(3, NEVER)
        assert (first, last) == (b"OK", b"1")
        assert isinstance(error, redis.ResponseError)
    connections.take().disconnect()
    with pytest.raises(IndexError):
        connections.take()


def test_past_the_deadline(connections: Connections, node: Node) -> None:
    """Nobody is waited for, what has come is taken, and a connection that owes a reply is not used again."""
    pipeline = Pipeline(connections)
    pipeline.write([SET], monotonic() - 1)
    assert isinstance(pipeline.read(1, NEVER)[0], redis.TimeoutError)
    connections.call("PING")
    node("CLIENT", "PAUSE", 600_000, "WRITE")
    try:
        pipeline.write([GET], NEVER)
        assert node("PING") == b"PONG"
        connection = pipeline._connection
        assert connection is not None
        assert connection.can_read(timeout=60)
        assert pipeline.read(1, monotonic() - 1) == [b"1"]
        pipeline.write([SET, GET], NEVER)
        assert [type(reply) for reply in pipeline.read(2, monotonic() - 1)] == [redis.TimeoutError] * 2
    finally:
        node("CLIENT", "UNPAUSE")
    assert connections.exchange(GET) == b"1"


def test_abandoned(connections: Connections) -> None:
    """A connection whose replies nobody has read is not used again."""
    pipeline = Pipeline(connections)
    pipeline.write([SET], NEVER)
    pipeline.abandon()
    assert connections.exchange(GET) == b"1"
