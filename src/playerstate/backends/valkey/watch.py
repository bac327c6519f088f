"""Listening to a player's views as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import msgspec
import redis

from playerstate.backends.valkey.cluster import ClusterConnections
from playerstate.backends.valkey.connections import ANSWER_TIMEOUT_S, Connection, Connections
from playerstate.core.model import View
from playerstate.errors import Unavailable


def watch(
    connections: Connections | ClusterConnections, player_id: str, channel: str, timeout_s: float
) -> Iterator[View | None]:
    """Views of a player, and None whenever `timeout_s` passes without one. Listens once this has returned."""
    views = _views(connections.subscribe(channel), player_id, timeout_s)
    next(views)  # a generator that was begun gives the connection back however it ends
    return views


def _views(connection: Connection, player_id: str, timeout_s: float) -> Iterator[View | None]:
    try:
        yield None
        yield from _listen(connection, player_id, timeout_s)
    except (redis.RedisError, OSError) as exc:
        raise Unavailable(f"The connection to the cache broke while watching: {exc}") from exc
    finally:
        connection.disconnect()


def _listen(connection: Connection, player_id: str, timeout_s: float) -> Iterator[View | None]:
    """Yield what comes. A silent server is asked for a sign of life: TCP may never tell that it is gone."""
    heard_at, asked = monotonic(), False
    deadline = heard_at + timeout_s
    while True:
        if connection.can_read(timeout=max(0.0, deadline - monotonic())):
            kind, *_, content = connection.read_response()
            heard_at, asked = monotonic(), False
            if kind == b"sunsubscribe":  # nobody has asked for it: the server gives the slot away
                raise redis.ConnectionError("the player has moved to another node of the cluster")
            if kind != b"smessage":
                continue
            yield parse_message(player_id, content)
        else:
            silent_s = monotonic() - heard_at
            if silent_s > 2 * ANSWER_TIMEOUT_S and asked:
                raise redis.TimeoutError("it has been silent for too long")
            if silent_s > ANSWER_TIMEOUT_S and not asked:
                connection.send_command("PING")
                asked = True
            yield None
        deadline = monotonic() + timeout_s


def parse_message(player_id: str, message: bytes) -> View:
    """The view of a message that `views.lua` published."""
    state_key, version, value = message.split(b"#", 2)
    return View(player_id, state_key.decode(), version.decode(), msgspec.Raw(value))
