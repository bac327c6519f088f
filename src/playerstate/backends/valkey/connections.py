"""Connections to a Valkey or Redis server, for any number of threads.

redis-py opens connections (TLS, logging in, choosing the database) and reads replies. Its client and its pool
are not used: they look at the socket before every command and keep books, which costs nearly as much as the
round trip. Here an idle connection is used as it is, and a command that finds it broken is sent once more on
a new one. So every command sent through here must be harmless to repeat.

`rediss://` verifies the server's certificate and that it is made out to the host. `?ssl_ca_certs=FILE` names the
authorities to trust, in place of the system's.
"""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from time import monotonic
from typing import Any, Protocol, TypeAlias

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError
from redis.retry import Retry

from playerstate.backends.valkey.credentials import Credentials
from playerstate.backends.valkey.scripts import Script
from playerstate.backends.valkey.slots import Address
from playerstate.backends.valkey.translated import unavailable, words
from playerstate.errors import StartRefused

Argument: TypeAlias = str | bytes | int

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
RENEWED_AFTER_S = 11 * 3600.0
"""How long a connection that logged in with changing credentials is used: services end those of 12 hours."""

pack: Any = hiredis.pack_command  # whose stub takes a tuple of one only


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


class Connections:
    """A stack of idle connections to one server. Errors of the driver leave it as `Unavailable`."""

    takes_any_slots = True
    """Whether one script may take keys of any slots."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        renewed_after_s: float = RENEWED_AFTER_S,
    ) -> None:
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
                f"A cache's URL is like redis://host:6379/0, rediss://... or unix:///path: {words(exc)}"
            ) from exc
        self._connection_class: Any = pool.connection_class
        # Replies are read as RESP2 and as bytes, whatever the URL and the driver's defaults say.
        self._settings = {**pool.connection_kwargs, "protocol": 2, "decode_responses": False}
        self._credentials = credentials
        self._renewed_after_s = renewed_after_s
        self._prepare()

    def _prepare(self) -> None:
        self._idle: list[Connection] = []
        self._renewed_at: weakref.WeakKeyDictionary[Connection, float] = weakref.WeakKeyDictionary()
        _in_this_process.add(self)

    @property
    def address(self) -> Address:
        """Where the server listens, if it does so on the network."""
        return Address(self._settings.get("host", "localhost"), int(self._settings.get("port", 6379)))

    def elsewhere(self, address: Address) -> Connections:
        """Connections of the same kind to another server."""
        others = copy.copy(self)
        others._settings = {**self._settings, **address._asdict()}
        others._prepare()
        return others

    def call(self, *command: Argument) -> Any:
        """Send a command and return the reply. Raises `Unavailable`, also if the reply is an error."""
        try:
            return self.exchange(pack(command))
        except (redis.RedisError, OSError) as exc:
            raise unavailable(exc) from exc

    def call_each(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands and return their replies."""
        return [self.call(*command) for command in commands]

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Run a script that the server may not know yet. `arguments` begin with the number of keys."""
        try:
            try:
                return self.exchange(pack(("EVALSHA", script.sha, *arguments)))
            except NoScriptError:
                return self.exchange(pack(("EVAL", script.source, *arguments)))
        except (redis.RedisError, OSError) as exc:
            raise unavailable(exc) from exc

    def run_each(self, script: Script, runs: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times, each with its arguments."""
        return [self.run(script, *arguments) for arguments in runs]

    def scan(self, cursor: str, count: int) -> tuple[list[bytes], str]:
        """Names of players' hashes, about `count`, and the cursor to go on with; "" begins and ends."""
        after, names = self.call("SCAN", cursor or "0", "MATCH", "player:{*}", "COUNT", count)
        return names, "" if after == b"0" else after.decode()

    def draw(self, count: int, random: Random) -> list[bytes | None]:
        """Names of keys at random, drawn by the server."""
        return [self.call("RANDOMKEY") for _ in range(count)]

    def unlink(self, names: Sequence[bytes]) -> None:
        """Delete keys."""
        self.call("UNLINK", *names)

    def subscribe(self, channel: str) -> Connection:
        """A connection of the caller's own that listens to a shard channel. Raises `Unavailable`."""
        try:
            return self.listen(channel)
        except (redis.RedisError, OSError) as exc:
            raise unavailable(exc) from exc

    def listen(self, channel: str) -> Connection:
        """The same. Raises the driver's errors."""
        connection = self.open()
        try:
            connection.send_command("SSUBSCRIBE", channel)
            connection.read_response()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def open(self) -> Connection:
        """A new connection, which the caller has to give back or to disconnect. Raises the driver's errors."""
        if self._credentials is None:
            return self._connected(self._connection_class(**self._settings))
        try:
            return self._logged_in(self._credentials(refused=False))
        except redis.AuthenticationError:
            return self._logged_in(self._credentials(refused=True))

    def take(self) -> Connection:
        """An idle connection, which the caller has to give back or to disconnect. Raises `IndexError`."""
        connection = self._idle.pop()
        while self._credentials is not None and self._renewed_at.get(connection, 0.0) < monotonic():
            connection.disconnect()
            connection = self._idle.pop()
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection on which no reply is outstanding."""
        self._idle.append(connection)

    def close(self) -> None:
        """End the idle connections. Those in use end when they are idle no more, or with their owner."""
        with suppress(IndexError):  # other threads take them too
            while True:
                self._idle.pop().disconnect()

    def forget_idle(self) -> None:
        """Let go of the idle connections without ending them."""
        self._idle.clear()

    def exchange(self, packed: bytes) -> Any:
        """Send a packed command and return the reply. Raises the driver's errors."""
        try:
            connection = self.take()
        except IndexError:
            return self._exchange(self.open(), packed)
        try:
            return self._exchange(connection, packed)
        except (redis.ConnectionError, ReadOnlyError):
            self.close()  # the server has gone, or is a replica now, and so it is with the others
            return self._exchange(self.open(), packed)

    def _logged_in(self, credentials: tuple[str, str]) -> Connection:
        user, password = credentials
        settings = {**self._settings, "username": user, "password": password}
        connection = self._connected(self._connection_class(**settings))
        self._renewed_at[connection] = monotonic() + self._renewed_after_s
        return connection

    def _connected(self, connection: Connection) -> Connection:
        connection.connect()
        return connection

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
