"""The HTTP endpoint for what watches nodes: `/metrics`, `/alarms` and `/health`, on this machine alone.

It only ever reads. Whoever calls slowly, or opens connections and says nothing, takes a place among a few, and holds up
neither the nodes nor their end.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec
import structlog
from prometheus_client import make_wsgi_app

from playerstate.core.answers import Stats
from playerstate.errors import PlayerStateError, StartRefused, described
from playerstate.runtime.exposition import registry

HOST = "127.0.0.1"
CONNECTIONS_MAX = 16
"""How many are answered at once; others are hung up on."""
SILENCE_MAX_S = 5.0
"""How long a caller may take to send, or take in, the next piece."""
CLOSE_WAIT_S = 5.0

log = structlog.get_logger(__name__)


class Watched(Protocol):
    """A node, as it is watched."""

    @property
    def alive(self) -> bool:
        """Whether every stage still runs."""
        ...

    def stats(self) -> Stats:
        """Its figures."""
        ...


class MetricsServer:
    """Serves what follows from the figures of nodes, from construction to `close`. Port 0 is a free one.

    Raises `StartRefused` if the port cannot be had.
    """

    def __init__(self, port: int, nodes: Sequence[Watched]) -> None:
        try:
            self._server = _Server((HOST, port), _Pages(nodes))
        except (OSError, OverflowError) as exc:
            raise StartRefused(f"Metrics cannot be served on port {port}: {exc}") from exc
        self.url = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="playerstate-metrics", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more: once this returns, no node is asked for anything."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()


class _Pages:
    """What is answered to whom. Every answer is made whole before any of it is sent."""

    def __init__(self, nodes: Sequence[Watched]) -> None:
        self._nodes = nodes
        self._metrics = make_wsgi_app(registry(lambda: [node.stats() for node in nodes]))
        self._asking = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Wait for the answer that is being made, and make no more."""
        finished = self._asking.acquire(timeout=CLOSE_WAIT_S)
        self._closed = True
        if finished:
            self._asking.release()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return _text(start_response, "405 Method Not Allowed", "only GET\n")
        try:
            with self._asking:
                if self._closed:
                    return _text(start_response, "503 Service Unavailable", "the node stops\n")
                return self._page(environ, start_response)
        except PlayerStateError as exc:
            log.warning("a page for monitoring could not be made", path=environ["PATH_INFO"], error=described(exc))
            return _text(start_response, "503 Service Unavailable", "the node cannot tell now\n")
        except Exception:
            log.exception("a page for monitoring failed", path=environ["PATH_INFO"])
            return _text(start_response, "500 Internal Server Error", "the log tells why\n")

    def _page(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return list(self._metrics(environ, start_response))
            case "/alarms":
                told = [{"region": s.region, "alarms": s.alarms} for s in (node.stats() for node in self._nodes)]
                return _json(start_response, "200 OK", {"regions": told})
            case "/health":
                alive = all(node.alive for node in self._nodes)
                status = "200 OK" if alive else "503 Service Unavailable"
                return _json(start_response, status, {"alive": alive})
        return _text(start_response, "404 Not Found", "there are /metrics, /alarms and /health\n")


def _json(start_response: StartResponse, status: str, data: Any) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [msgspec.json.encode(data) + b"\n"]


def _text(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]


class _Handler(WSGIRequestHandler):
    timeout = SILENCE_MAX_S

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the caller has gone
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is called so there
        """Nothing: who asks is not worth a line."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], pages: _Pages) -> None:
        self._pages = pages
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)
        self.set_app(pages)

    def server_bind(self) -> None:
        """Bind, without asking a name server for the name of this machine."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a place for one more."""
        return self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, in a thread of its own."""
        try:
            with self._known(request):
                super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What nobody foresaw is logged; the caller gets no answer."""
        log.exception("a connection for monitoring failed")

    def hang_up(self) -> None:
        """End every connection."""
        self._pages.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _known(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
