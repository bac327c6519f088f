"""InfluxDB's HTTP: what is tried again, what an answer comes to, and what goes over the wire."""

from __future__ import annotations

import base64
import datetime
import gzip
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from playerstate.backends.aws import influx_http
from playerstate.backends.aws.errors import AuthenticationFailed
from playerstate.backends.aws.influx_http import (
    REQUEST_BYTES_MAX,
    REQUEST_LINES_MAX,
    TRIES_MAX,
    InfluxServer,
)
from playerstate.errors import PlayerStateError, SlowDown, Unavailable

EMPTY = b'{"results":[{"statement_id":0}]}'
DROP = (0, b"")
"""Instead of an answer the connection ends."""
SILENCE = (-1, b"")
"""No answer comes, for as long as the test runs."""


class Scripted(ThreadingHTTPServer):
    """A server that gives the answers it is told to, and then the last one for ever."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str], bytes]] = []
        self.connections = 0
        self.ended = threading.Event()

    def client(self, scheme: str = "http", **settings: Any) -> InfluxServer:
        return InfluxServer(f"{scheme}://127.0.0.1:{self.server_port}/", "audit", wait=lambda _: None, **settings)

    def next_answer(self) -> tuple[int, bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the test's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((url.path, parse_qs(url.query), dict(self.headers), body))
        status, answer = self.server.next_answer()
        if status < 1:
            if status < 0:
                self.server.ended.wait()
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Location", "/elsewhere")  # never followed: it would be told the token
        self.send_header("Content-Length", str(len(answer) if status != 204 else 0))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def start(*answers: tuple[int, bytes], context: ssl.SSLContext | None = None) -> Scripted:
        server = Scripted(*answers)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.ended.set()
        server.shutdown()
        server.server_close()


def test_a_write_on_the_wire(scripted: Callable[..., Scripted]) -> None:
    """Version 1's endpoint, packed, with a token; times are ns."""
    server = scripted((204, b""))
    server.client(token=lambda _: "t0p", retention_policy="year").write(['m,slot=00 a="naïve" 1', "m,slot=01 a=2i 2"])
    ((path, query, headers, body),) = server.requests
    assert (path, query) == ("/write", {"db": ["audit"], "rp": ["year"], "precision": ["ns"]})
    assert gzip.decompress(body).decode() == 'm,slot=00 a="naïve" 1\nm,slot=01 a=2i 2'
    assert (headers["Authorization"], headers["Content-Encoding"]) == ("Token t0p", "gzip")


def test_a_query_on_the_wire(scripted: Callable[..., Scripted]) -> None:
    """One request for several statements, with a name and a password; rows come by their columns' names."""
    series = b'{"series":[{"name":"m","columns":["time","a"],"values":[[9007199254740993,"x"],[2,null]]}]}'
    server = scripted((200, b'{"results":[%s,{}]}' % series))
    found = server.client(user="u", password="p:w").query(["SELECT a FROM m", "SELECT b & c FROM m"])
    assert found == [[{"time": 9007199254740993, "a": "x"}, {"time": 2, "a": None}], []]
    ((path, query, headers, body),) = server.requests
    assert (path, query) == ("/query", {"db": ["audit"], "epoch": ["ns"]})
    assert parse_qs(body.decode()) == {"q": ["SELECT a FROM m;SELECT b & c FROM m"]}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"u:p:w"


def test_nothing_to_do_is_not_sent(scripted: Callable[..., Scripted]) -> None:
    """No points and no statements make no requests."""
    server = scripted((500, b""))
    server.client().write([])
    assert server.client().query([]) == []
    assert server.requests == []


def test_writes_are_split(scripted: Callable[..., Scripted]) -> None:
    """Into requests of a bounded size; a point that is larger goes alone, and none is lost or moved."""
    server = scripted((204, b""))
    lines = [f"m a={n}i {n}" for n in range(REQUEST_LINES_MAX + 1)]
    lines += [f'm a="{"x" * (REQUEST_BYTES_MAX // 2)}" {n}' for n in range(3)] + [f'm a="{"y" * REQUEST_BYTES_MAX}" 9']
    server.client().write(lines)
    bodies = [gzip.decompress(body).decode().split("\n") for *_, body in server.requests]
    assert [line for body in bodies for line in body] == lines
    assert all(len(body) <= REQUEST_LINES_MAX for body in bodies)
    assert all(len(body) == 1 or len("\n".join(body)) <= REQUEST_BYTES_MAX for body in bodies)
    assert len(bodies) == 5


def test_connections_are_used_again(scripted: Callable[..., Scripted]) -> None:
    """A second call takes the first one's connection."""
    server = scripted((204, b""), (200, EMPTY))
    client = server.client()
    client.write(["m a=1i 1"])
    client.query(["SELECT a FROM m"])
    assert (len(server.requests), server.connections) == (2, 1)


@pytest.mark.parametrize("passing", [(503, b""), (429, b""), (500, b""), DROP, SILENCE])
def test_what_may_pass_is_tried_again(
    scripted: Callable[..., Scripted], passing: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and writing: writing a point again changes nothing."""
    if passing == SILENCE:
        monkeypatch.setattr(influx_http, "WRITE_TIMEOUT_S", 0.05)
        monkeypatch.setattr(influx_http, "QUERY_TIMEOUT_S", 0.05)
    server = scripted(passing, passing, (204, b""), passing, (200, EMPTY))
    client = server.client()
    client.write(["m a=1i 1"])
    assert client.query(["SELECT a FROM m"]) == [[]]
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("answer", "error", "calls"),
    [
        ((503, b"anna"), SlowDown, TRIES_MAX),
        ((429, b"anna"), SlowDown, TRIES_MAX),
        ((500, b"timeout: anna"), Unavailable, TRIES_MAX),
        (DROP, Unavailable, TRIES_MAX),
        ((401, b"anna"), AuthenticationFailed, 1),
        ((403, b"anna"), AuthenticationFailed, 1),
        ((404, b'{"error":"database not found: anna"}'), Unavailable, 1),
        ((400, b'{"error":"unable to parse anna"}'), Unavailable, 1),
        ((413, b"anna"), Unavailable, 1),
        ((307, b"anna"), Unavailable, 1),
    ],
)
def test_tries_are_bounded(
    scripted: Callable[..., Scripted], answer: tuple[int, bytes], error: type[PlayerStateError], calls: int
) -> None:
    """What is refused for what it is is not made again; an error says nothing of what was sent."""
    for call in (lambda client: client.write(['m a="anna" 1']), lambda client: client.query(["SELECT anna FROM m"])):
        server = scripted(answer)
        with pytest.raises(error) as raised:
            call(server.client())
        assert type(raised.value) is error
        assert "anna" not in str(raised.value)
        assert len(server.requests) == calls


@pytest.mark.parametrize("status", [400, 422])
def test_points_past_the_retention(scripted: Callable[..., Scripted], status: int) -> None:
    """A server that has taken all but what it would delete at once has done what it was asked to."""
    server = scripted((status, b'{"error":"partial write: points beyond retention policy dropped=2"}'))
    server.client().write(["m a=1i 1"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b'{"results":[{"error":"anna is not known"}]}',
        b'{"results":[{"series":[{"columns":["time"],"values":[[1]],"partial":true}]}]}',
        b'{"results":[{"partial":true}]}',
        b'{"results":[]}',
        b'{"results":[{"series":[{"columns":["ti',
        b"[]",
    ],
)
def test_half_an_answer_is_none(scripted: Callable[..., Scripted], answer: bytes) -> None:
    """A statement that failed, or was cut short, is never taken for one that found nothing."""
    with pytest.raises(Unavailable) as raised:
        scripted((200, answer)).client().query(["SELECT a FROM m"])
    assert "anna" not in str(raised.value)


def test_nobody_answers() -> None:
    """Where nobody listens, nothing was done."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = InfluxServer(f"http://127.0.0.1:{port}", "audit", wait=lambda _: None)
        with pytest.raises(Unavailable) as raised:
            client.write(["m a=1i 1"])
        assert raised.value.__cause__ is not None


def test_tls(scripted: Callable[..., Scripted], tmp_path: Path) -> None:
    """A server is talked to only if its certificate is from somebody who is trusted."""
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = scripted((204, b""), context=context)
    with pytest.raises(Unavailable):
        server.client("https").write(["m a=1i 1"])
    assert server.requests == []
    server.client("https", ca_file=str(certificate)).write(["m a=1i 1"])
    assert len(server.requests) == 1


def make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
