"""Neptune's endpoint: what is signed, what is tried again, what an error comes to, and who is trusted."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aws.neptune_server import CREDENTIALS, REGION, Fault, NeptuneServer
from conformance.suite import run_together
from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.errors import AuthenticationFailed
from playerstate.backends.aws.neptune_http import NeptuneEndpoint
from playerstate.errors import InvariantViolated, OutcomeUnknown, PlayerStateError, SlowDown, Unavailable

MAKE = "MERGE (player:Player {`~id`: $id}) RETURN player.`~id` AS id"
COUNT = "MATCH (player:Player {`~id`: $id}) RETURN count(player) AS players"
ANNA = {"id": "Player#anna"}


@pytest.fixture
def endpoint(neptune: NeptuneServer) -> Iterator[NeptuneEndpoint]:
    with closing(neptune.endpoint()) as endpoint:
        yield endpoint


def test_a_query_and_its_rows(endpoint: NeptuneEndpoint) -> None:
    """Values of all sorts go there and come back as they are."""
    values = {"text": "é'\"\\`&=%+\n\x00😀", "number": 2**53 + 1, "nothing": None, "list": ["", "a b"], "truth": True}
    (row,) = endpoint.read("RETURN " + ", ".join(f"${name} AS {name}" for name in values), values)
    assert row == values
    assert endpoint.read(COUNT, ANNA) == [{"players": 0}]
    assert endpoint.write(MAKE, ANNA, harmless=True) == [{"id": "Player#anna"}]
    assert endpoint.read(COUNT, ANNA) == [{"players": 1}]


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(CREDENTIALS.access_key, "another secret", CREDENTIALS.token),
        Credentials("AKIDOTHER", CREDENTIALS.secret_key, CREDENTIALS.token),
        Credentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "another session"),
        Credentials(CREDENTIALS.access_key, CREDENTIALS.secret_key),
    ],
    ids=["secret", "key", "token", "no token"],
)
def test_a_signature_that_is_not_right(neptune: NeptuneServer, credentials: Credentials) -> None:
    """It is refused, nothing is done, and nothing is tried again."""
    denied = pytest.raises(AuthenticationFailed, match="AccessDenied")
    with closing(neptune.endpoint(credentials=credentials)) as endpoint, denied:
        endpoint.write(MAKE, ANNA, harmless=True)
    assert neptune.requests == []


def test_a_signature_for_another_region(neptune: NeptuneServer) -> None:
    """A signature is for one region."""
    elsewhere = NeptuneEndpoint(neptune.url, Clients("eu-west-1"), credentials=CREDENTIALS)
    with closing(elsewhere) as endpoint, pytest.raises(AuthenticationFailed):
        endpoint.read(COUNT, ANNA)


def test_credentials_without_a_session(neptune: NeptuneServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a user are signed with as well as those of a role."""
    plain = Credentials("AKIDUSER", "secret")
    monkeypatch.setattr(neptune, "credentials", plain)
    with closing(neptune.endpoint(credentials=plain)) as endpoint:
        assert endpoint.read(COUNT, ANNA) == [{"players": 0}]


class Session:
    """A session of botocore's whose credentials change with every use, as a role's do now and then."""

    def __init__(self, *credentials: Credentials) -> None:
        self.left = list(credentials)

    def get_credentials(self) -> Session | None:
        return self if self.left else None

    def get_frozen_credentials(self) -> Credentials:
        return self.left.pop(0)


def on_session(neptune: NeptuneServer, *credentials: Credentials) -> NeptuneEndpoint:
    clients = Clients(REGION, wait=lambda _: None)
    clients._session = Session(*credentials)
    return NeptuneEndpoint(neptune.url, clients)


def test_credentials_of_the_session(neptune: NeptuneServer) -> None:
    """Each try is signed with what the session has then."""
    neptune.faults = [Fault.THROTTLED]
    with closing(on_session(neptune, CREDENTIALS, CREDENTIALS, Credentials("old", "old"))) as endpoint:
        assert endpoint.read(COUNT, ANNA) == [{"players": 0}]
        with pytest.raises(AuthenticationFailed):
            endpoint.read(COUNT, ANNA)


def test_no_credentials(neptune: NeptuneServer) -> None:
    """Where there are none, nothing is sent."""
    with closing(on_session(neptune)) as endpoint, pytest.raises(AuthenticationFailed, match="no credentials"):
        endpoint.write(MAKE, ANNA, harmless=True)
    assert neptune.requests == []


def test_credentials_that_cannot_be_had(neptune: NeptuneServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where who gives them does not answer, nothing was sent, and so nothing done."""

    def fail(_: Session) -> Credentials:
        raise CredentialRetrievalError(provider="a role", error_msg="no answer")

    monkeypatch.setattr(Session, "get_frozen_credentials", fail)
    with closing(on_session(neptune, CREDENTIALS)) as endpoint, pytest.raises(Unavailable):
        endpoint.write(MAKE, ANNA, harmless=False)
    assert neptune.requests == []


@pytest.mark.parametrize(
    ("fault", "read", "written"),
    [
        (Fault.CONFLICT, Unavailable, Unavailable),
        (Fault.SAME_VERTEX, Unavailable, Unavailable),
        (Fault.THROTTLED, SlowDown, SlowDown),
        (Fault.TOO_MANY, SlowDown, SlowDown),
        (Fault.READ_ONLY, Unavailable, Unavailable),
        (Fault.BROKEN_BEFORE, Unavailable, OutcomeUnknown),
        (Fault.BROKEN_AFTER, Unavailable, OutcomeUnknown),
        (Fault.BAD_GATEWAY, Unavailable, OutcomeUnknown),
        (Fault.GARBLED, Unavailable, OutcomeUnknown),
        (Fault.LOST, Unavailable, OutcomeUnknown),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_what_may_pass(
    neptune: NeptuneServer,
    endpoint: NeptuneEndpoint,
    fault: Fault,
    read: type[PlayerStateError],
    written: type[PlayerStateError],
) -> None:
    """It is tried again a bounded number of times, a write that may have had its effect only if that is harmless."""
    neptune.faults = [fault] * (TRIES_MAX - 1)
    assert endpoint.read(COUNT, ANNA) == [{"players": 0}]
    neptune.faults = [fault] * (TRIES_MAX - 1)
    assert endpoint.write(MAKE, ANNA, harmless=True) == [{"id": "Player#anna"}]

    for harmless in (None, True, False):
        neptune.requests.clear()
        neptune.faults = [fault] * TRIES_MAX
        with pytest.raises(PlayerStateError) as caught:
            endpoint.read(COUNT, ANNA) if harmless is None else endpoint.write(MAKE, ANNA, harmless=harmless)
        assert type(caught.value) is (read if harmless is None else written)
        assert "anna" not in str(caught.value)
        once = harmless is False and written is OutcomeUnknown
        assert len(neptune.requests) == (1 if once else TRIES_MAX)


@pytest.mark.parametrize(
    ("fault", "expected"), [(Fault.FORBIDDEN, AuthenticationFailed), (Fault.OUT_OF_TIME, Unavailable)]
)
def test_what_does_not_pass(
    neptune: NeptuneServer, endpoint: NeptuneEndpoint, fault: Fault, expected: type[PlayerStateError]
) -> None:
    """It is said at once, with nothing done."""
    neptune.faults = [fault]
    with pytest.raises(expected, match=fault.value[1]) as caught:
        endpoint.write(MAKE, ANNA, harmless=True)
    assert type(caught.value) is expected
    assert "anna" not in str(caught.value)
    assert endpoint.read(COUNT, ANNA) == [{"players": 0}]


@pytest.mark.parametrize("last", [Fault.CONFLICT, Fault.FORBIDDEN])
def test_doubt_stays(neptune: NeptuneServer, endpoint: NeptuneEndpoint, last: Fault) -> None:
    """That the last try did nothing does not say that nothing was done: an earlier one may have had its effect."""
    neptune.faults = [Fault.LOST, *[last] * (TRIES_MAX - 1)]
    with pytest.raises(OutcomeUnknown):
        endpoint.write(MAKE, ANNA, harmless=True)
    neptune.faults = []
    assert endpoint.read(COUNT, ANNA) == [{"players": 1}]


def test_a_query_that_is_none(neptune: NeptuneServer, endpoint: NeptuneEndpoint) -> None:
    """It is a mistake that a person has to see; what it says of players is not repeated."""
    with pytest.raises(InvariantViolated, match="MalformedQuery") as caught:
        endpoint.read("MATCH (anna RETURN", {})
    assert "anna" not in str(caught.value)
    assert len(neptune.requests) == 1


def test_an_answer_that_does_not_come(neptune: NeptuneServer) -> None:
    """The wait ends. A write that is harmless is sent again; of another it is said that nobody knows."""
    with closing(neptune.endpoint(answer_timeout_s=0.2)) as endpoint:
        neptune.faults = [Fault.SILENT]
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            endpoint.write(MAKE, ANNA, harmless=False)
        neptune.faults = [Fault.SILENT]
        assert endpoint.write(MAKE, ANNA, harmless=True) == [{"id": "Player#anna"}]
        assert len(neptune.requests) == 3


def test_nobody_listens() -> None:
    """Then nothing was done, whatever was asked for."""
    clients = Clients(REGION, wait=lambda _: None)
    nowhere = NeptuneEndpoint("http://127.0.0.1:9", clients, credentials=CREDENTIALS)
    with closing(nowhere) as endpoint, pytest.raises(Unavailable):
        endpoint.write(MAKE, ANNA, harmless=False)


def test_connections_are_reused(neptune: NeptuneServer, endpoint: NeptuneEndpoint) -> None:
    """A connection serves one call after another; threads have one each at most; a replica's is not used again."""
    before = neptune.connections
    for _ in range(5):
        endpoint.read(COUNT, ANNA)
    assert neptune.connections == before + 1
    run_together(*[lambda: [endpoint.read(COUNT, ANNA) for _ in range(10)]] * 3)
    assert neptune.connections <= before + 3
    between = neptune.connections
    neptune.faults = [Fault.READ_ONLY]
    endpoint.read(COUNT, ANNA)
    assert neptune.connections == between + 1


class Greeting(BaseHTTPRequestHandler):
    """Answers every query alike."""

    def do_POST(self) -> None:
        body = b'{"results": [{"answer": 42}]}'
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def tls_server(folder: Path, name: x509.GeneralName) -> Iterator[tuple[str, str]]:
    """A server with a certificate of its own that is for a name; its URL, and the certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, kept = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    kept.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, kept)
    with HTTPServer(("127.0.0.1", 0), Greeting) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}", str(trusted)
        finally:
            server.shutdown()
            thread.join()


def asked(url: str, **settings: Any) -> list[dict[str, Any]]:
    clients = Clients(REGION, wait=lambda _: None)
    with closing(NeptuneEndpoint(url, clients, credentials=CREDENTIALS, **settings)) as endpoint:
        return endpoint.read(COUNT, ANNA)


def test_only_who_is_trusted_is_asked(tmp_path: Path) -> None:
    """A server whose certificate nobody known has signed is told nothing; one whose authority is given is asked."""
    with tls_server(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))) as (url, certificate):
        assert asked(url, ca_bundle=certificate) == [{"answer": 42}]
        with pytest.raises(Unavailable, match="SSLError"):
            asked(url)


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    """A certificate of a trusted authority counts for the name that it has."""
    refused = pytest.raises(Unavailable, match="SSLError")
    with tls_server(tmp_path, x509.DNSName("another.example")) as (url, certificate), refused:
        asked(url, ca_bundle=certificate)
