"""Many commands to one server in one round trip: all are written, then all replies are read.

Writing and reading are two calls, so that several servers can be at work at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import redis

from playerstate.backends.valkey.connections import Connection, Connections


class Pipeline:
    """Commands to one server, on one connection."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._error: Exception | None = None

    def write(self, packed: Sequence[bytes], deadline: float) -> None:
        """Write packed commands, if it is not past the deadline (of `monotonic`). `read` tells what goes wrong."""
        try:
            if monotonic() > deadline:
                raise _too_late()
            try:
                self._connection = self._connections.take()
            except IndexError:
                self._connection = self._connections.open()
            self._connection.send_packed_command([b"".join(packed)], check_health=False)
        except (redis.RedisError, OSError) as exc:
            self._broken(exc)

    def read(self, count: int, deadline: float) -> list[Any]:
        """The replies to the `count` commands written; in place of one that failed or did not come, its error.

        Past the deadline only what has begun to come is waited for.
        """
        replies: list[Any] = []
        if self._connection is not None and monotonic() > deadline and not self._has_answered(self._connection):
            self._broken(_too_late())
        while len(replies) < count and self._connection is not None:
            try:
                replies.append(self._connection.read_response())
            except redis.ResponseError as exc:
                replies.append(exc)
            except (redis.RedisError, OSError) as exc:
                self._broken(exc)
        if self._connection is not None:
            self._connections.give_back(self._connection)
            self._connection = None
        return replies + [self._error] * (count - len(replies))

    def abandon(self) -> None:
        """End the connection if replies are outstanding, which must not answer other commands."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    @staticmethod
    def _has_answered(connection: Connection) -> bool:
        try:
            return connection.can_read(timeout=0)
        except (redis.RedisError, OSError):
            return True  # reading says what is wrong

    def _broken(self, error: Exception) -> None:
        self.abandon()
        self._connections.close()  # as it is with this connection, so it is with the others
        self._error = error


def _too_late() -> redis.TimeoutError:
    return redis.TimeoutError("Timeout waiting for nodes of the cluster")
