"""Connections to a Valkey or Redis server, for any number of threads.

redis-py opens connections (TLS, logging in, choosing the database) and reads replies. Its client and its pool
are not used: they look at the socket before every command and keep books, which costs nearly as much as the
round trip. Here an idle connection is used as it is, and a command that finds it broken is sent once more on
a new one. So every command sent through here must be harmless to repeat.
"""

from __future__ import annotations

import os
import re
import weakref
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError
from redis.retry import Retry

from playerstate.backends.valkey.scripts import Script
from playerstate.errors import StartRefused, Unavailable

Argument: TypeAlias = str | bytes | int

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0

_pack: Any = hiredis.pack_command  # whose stub takes a tuple of one only


class Connection(Protocol):
    """What is used of redis-py's connections, which have no types."""

    def connect(self) -> None:
        """Connect and log in."""

    def disconnect(self) -> None:
        """End the connection. It may be connected again."""

    def send_command(self, *command: Argument) -> None:
        """Send a command."""

    def send_packed_command(self, packed: list[bytes], check_health: bool) -> None:
        """Send bytes."""

    def can_read(self, timeout: float) -> bool:
        """Whether there is something to read within `timeout` seconds."""

    def read_response(self) -> Any:
        """The next reply. Raises the error that was answered."""


class WrongType(Unavailable):
    """A key is there, and is of another type than the command is for."""


class Connections:
    """A stack of idle connections to one server. Errors of the driver leave it as `Unavailable`."""

    def __init__(self, url: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Take a `redis://`, `rediss://` or `unix://` URL. Nothing is connected yet."""
        try:
            pool = redis.ConnectionPool.from_url(
                url,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=answer_timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as exc:
            raise StartRefused(
                f"A cache's URL is like redis://host:6379/0, rediss://... or unix:///path: {exc}"
            ) from exc
        self._connection_class: Any = pool.connection_class
        # Replies are read as RESP2 and as bytes, whatever the URL and the driver's defaults say.
        self._settings = {**pool.connection_kwargs, "protocol": 2, "decode_responses": False}
        self._idle: list[Connection] = []
        _in_this_process.add(self)

    def call(self, *command: Argument) -> Any:
        """Send a command and return the reply. Raises `Unavailable`, also if the reply is an error."""
        try:
            return self._call(command)
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script that the server may not know yet. `arguments` begin with the number of keys."""
        try:
            try:
                return self._call(("EVALSHA", script.sha, *arguments))
            except NoScriptError:
                return self._call(("EVAL", script.source, *arguments))
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    def open(self) -> Connection:
        """A new connection, which the caller has to disconnect. Raises the driver's errors."""
        connection: Connection = self._connection_class(**self._settings)
        connection.connect()
        return connection

    def close(self) -> None:
        """End the idle connections. Those in use end when they are idle no more, or with their owner."""
        with suppress(IndexError):  # other threads take them too
            while True:
                self._idle.pop().disconnect()

    def forget_idle(self) -> None:
        """Let go of the idle connections without ending them."""
        self._idle.clear()

    def _call(self, command: tuple[Argument, ...]) -> Any:
        packed: bytes = _pack(command)
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._exchange(self.open(), packed)
        try:
            return self._exchange(connection, packed)
        except (redis.ConnectionError, ReadOnlyError):
            self.close()  # the server has gone, or is a replica now, and so it is with the others
            return self._exchange(self.open(), packed)

    def _exchange(self, connection: Connection, packed: bytes) -> Any:
        try:
            connection.send_packed_command([packed], check_health=False)
            reply = connection.read_response()
        except redis.ResponseError:
            self._idle.append(connection)  # an error was answered, and read whole
            raise
        except BaseException:
            connection.disconnect()  # a reply may still come, which must not answer the next command
            raise
        self._idle.append(connection)
        return reply


_in_this_process: weakref.WeakSet[Connections] = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """See to it that a forked process does not speak on its parent's connections."""
    for connections in _in_this_process:
        connections.forget_idle()


os.register_at_fork(after_in_child=_leave_to_the_parent)


def _unavailable(error: Exception) -> Unavailable:
    kind = WrongType if str(error).startswith("WRONGTYPE") else Unavailable
    return kind(f"The cache does not answer as it should: {_words(error)}")


def _words(error: Exception) -> str:
    """What the server or the driver says, but for what it quotes: errors are logged, and what players have is not."""
    return re.sub(r"(['`]).*\1", "...", str(error))
