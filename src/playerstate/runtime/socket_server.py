"""The socket in the data folder by which other processes on the machine reach a node."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import socketserver
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import structlog

from playerstate.api import PlayerState
from playerstate.errors import InvalidUpdate, PlayerStateError, StartRefused
from playerstate.runtime import protocol
from playerstate.runtime.protocol import Reply, Request, SendMany, Watch

ADDRESS_FILE = "node.json"
SOCKET_PATH_MAX = 100
"""The kernel takes a little more; paths of sockets are short everywhere."""

log = structlog.get_logger(__name__)
_decode_request = msgspec.msgpack.Decoder(Request).decode
_encode = msgspec.json.Encoder().encode


class Address(msgspec.Struct):
    """Where a node can be reached; kept in the data folder while it runs."""

    pid: int
    socket: str


class SocketServer:
    """Serves a node's calls on a socket that only the folder's owner can open."""

    def __init__(self, folder: Path, node: PlayerState) -> None:
        self._address_file = folder / ADDRESS_FILE
        self._path = _socket_path(folder)
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = _Server(str(self._path), node)
        finally:
            os.umask(before)
        self._address_file.write_bytes(_encode(Address(os.getpid(), str(self._path))))
        self._thread = threading.Thread(target=self._server.serve_forever, name="playerstate-socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more calls, and end those that wait for something."""
        self._address_file.unlink(missing_ok=True)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, path: str, node: PlayerState) -> None:
        self.node = node
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._busy = 0
        self._idle = threading.Condition(self._lock)
        super().__init__(path, _Handler)

    @contextlib.contextmanager
    def connection(self, connection: socket.socket) -> Any:
        """Known while it lasts, so that it can be ended."""
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    @contextlib.contextmanager
    def call(self) -> Any:
        """A call under way, which `hang_up` waits for."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._idle.notify_all()

    def hang_up(self, *, wait_s: float = 5.0) -> None:
        """Let the calls under way be answered, then end every connection."""
        with self._lock:
            self._idle.wait_for(lambda: self._busy == 0, wait_s)
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        with self.server.connection(self.request), contextlib.suppress(ConnectionError):
            while (frame := protocol.receive_frame(self.request)) is not None:
                self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        try:
            request = _decode_request(frame)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            self._reply_problem(InvalidUpdate(f"The request is malformed: {exc}", code="malformed"))
            return
        try:
            if isinstance(request, Watch):
                self._watch(request)
                return
            with self.server.call():
                protocol.send_frame(self.request, Reply(ok=True, body=_encode(_call(self.server.node, request))))
        except PlayerStateError as exc:
            self._reply_problem(exc)
        except ConnectionError:
            raise
        except Exception as exc:
            log.exception("a call failed", call=type(request).__name__)
            self._reply_problem(PlayerStateError(f"{type(exc).__name__}: {exc}"))

    def _watch(self, request: Watch) -> None:
        views = self.server.node.watch(request.player_id, timeout_s=request.timeout_s)
        protocol.send_frame(self.request, Reply(ok=True, body=b"null"))  # from here on nothing is missed
        for view in views:
            protocol.send_frame(self.request, Reply(ok=True, body=_encode(view)))

    def _reply_problem(self, error: PlayerStateError) -> None:
        protocol.send_frame(self.request, Reply(ok=False, body=_encode(protocol.problem_of(error))))


def _call(node: PlayerState, request: Request) -> Any:
    match request:
        case SendMany(updates):
            return node.send_many(updates)
        case protocol.OutcomeOf(identity, wait_s):
            return node.outcome(identity, wait_s=wait_s)
        case protocol.Get(player_id, state_key):
            return node.get(player_id, state_key)
        case protocol.GetPlayer(player_id):
            return node.get_player(player_id)
        case protocol.History(player_id, state_key, since, before, outcome, producer, limit, everywhere):
            return node.history(
                player_id,
                state_key,
                since=since,
                before=before,
                outcome=outcome,
                producer=producer,
                limit=limit,
                everywhere=everywhere,
            )
        case protocol.ListDeadLetters(after_id, limit, where):
            return node.dead_letters(after=after_id, limit=limit, where=where)
        case protocol.SendAgain(letter_id):
            return node.send_again(letter_id)
        case protocol.SetValue(player_id, state_key, value, reason, dry_run):
            return node.set_value(player_id, state_key, protocol.value_of(value), reason=reason, dry_run=dry_run)
        case protocol.Undo(identity, reason, dry_run):
            return node.undo(identity, reason=reason, dry_run=dry_run)
        case protocol.Discard(letter_id, reason):
            return node.discard(letter_id, reason=reason)
        case protocol.ListGoneLetters(after, limit, where):
            return node.gone_letters(after=after, limit=limit, where=where)
        case protocol.GetGoneLetter(letter_id):
            return node.gone_letter(letter_id)
        case protocol.Erase(player_id, reason):
            return node.erase(player_id, reason=reason)
        case protocol.GetExport(player_id):
            return node.export(player_id)
        case protocol.Verify(cursor, keys, sample, repair):
            return node.verify(cursor, keys=keys, sample=sample, repair=repair)
        case protocol.ListFindings(player_id, before, limit):
            return node.findings(player_id, before=before, limit=limit)
        case protocol.Neighbours(player_id, label):
            return node.neighbours(player_id, label)
        case protocol.FriendsOfFriends(player_id, label, limit):
            return node.friends_of_friends(player_id, label, limit=limit)
        case protocol.ShortestPath(start, end, label, edges_max):
            return node.shortest_path(start, end, label, edges_max=edges_max)
        case protocol.Drain(timeout_s):
            return node.drain(timeout_s=timeout_s)
        case protocol.GetStats():
            return node.stats()
        case protocol.GetAlarms():
            return node.alarms()
        case protocol.GetSettings():
            return node.settings()
        case protocol.GetSchema():
            return node.schema
    raise InvalidUpdate("There is no such call", code="malformed")


def _socket_path(folder: Path) -> Path:
    """In the folder, or, where its path is too long for a socket's, in a private one that follows from it."""
    path = folder.resolve() / "node.sock"
    if len(str(path)) <= SOCKET_PATH_MAX:
        return path
    name = f"playerstate-{os.getuid()}-{hashlib.sha256(bytes(path)).hexdigest()[:16]}"
    private = Path(tempfile.gettempdir()) / name
    private.mkdir(mode=0o700, exist_ok=True)
    about = private.stat(follow_symlinks=False)
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077:
        raise StartRefused(f"{private}, where the node's socket would be, is not private")
    return private / "node.sock"
