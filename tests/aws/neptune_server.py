"""A stand-in for Neptune's openCypher endpoint: HTTP on loopback, in front of an embedded Ladybug database.

It takes `POST /openCypher` with a form of `query` and `parameters`, refuses what is not signed for the service
`neptune-db` with the credentials that it knows (the signature is worked out anew here, without botocore), runs the
query in a transaction of its own, and answers in Neptune's forms, of results and of errors.

**Queries are run as they come, none is translated.** What Ladybug needs for that is declared in its own terms:

- Every kind of vertex and label of edges that the schema knows is a table, since Ladybug has no others. The vertices'
  primary key is a column by the name of `~id`, which is to Neptune the id of a vertex: both keep it unique.
- `type(edge)`, which Ladybug calls `label(edge)`, is a macro.
- `labels(vertex)` is one string to Ladybug, a list of strings to Neptune: a column `kinds` is answered as a list.

**What a green run proves**: that the queries are openCypher, that clause after clause they do what their headers say,
that requests are signed and errors met as described. **What it does not**: that Neptune takes each query and sees in a
later clause what an earlier one wrote, how it isolates and locks (queries wait for one another here, so that conflicts
are only ever injected), how it orders strings, and how fast it is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import ladybug
from botocore.credentials import Credentials

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.neptune_http import NeptuneEndpoint
from playerstate.core.schema import Edge

REGION = "us-east-1"
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret/of+the=tests", "a session's token")
BUFFER_POOL_BYTES = 256 * 1024 * 1024
CLOCK_SKEW_MAX = timedelta(minutes=5)


class Fault(Enum):
    """What may happen to a request: status; code or body; whether the query has its effect before."""

    CONFLICT = (500, "ConcurrentModificationException", False)
    SAME_VERTEX = (400, "ConstraintViolationException", False)
    THROTTLED = (500, "ThrottlingException", False)
    TOO_MANY = (429, "TooManyRequestsException", False)
    READ_ONLY = (400, "ReadOnlyViolationException", False)
    OUT_OF_TIME = (500, "TimeLimitExceededException", False)
    FORBIDDEN = (403, "AccessDeniedException", False)
    BROKEN_BEFORE = (500, "InternalFailureException", False)
    BROKEN_AFTER = (500, "InternalFailureException", True)
    BAD_GATEWAY = (502, "<html>a page of something in between</html>", True)
    GARBLED = (200, '{"results": [', True)
    SILENT = (0, "no answer comes, for as long as the client waits", True)
    LOST = (0, "the connection ends instead of an answer", True)

    @property
    def has_effect(self) -> bool:
        """Whether the query has run."""
        return self.value[2]


class Request(NamedTuple):
    """A query that was taken."""

    query: str
    parameters: dict[str, Any]


class NeptuneServer:
    """A running server. `requests` are those that were signed well, `connections` counts what was opened."""

    def __init__(self, folder: Path, edges: Collection[Edge], credentials: Credentials = CREDENTIALS) -> None:
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.connections = 0
        self.credentials = credentials
        self._running = threading.Lock()
        self._database = ladybug.Database(folder / "graph.lbug", buffer_pool_size=BUFFER_POOL_BYTES, max_num_threads=1)
        self._connection = ladybug.Connection(self._database)
        self._declare(edges)
        self._http = _Http(self)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    def endpoint(self, **settings: Any) -> NeptuneEndpoint:
        """A client of it that never waits between two tries."""
        given = {"credentials": self.credentials, **settings}
        return NeptuneEndpoint(self.url, Clients(REGION, wait=lambda _: None), **given)

    def empty(self) -> None:
        """Forget everything."""
        with self._running:
            self._connection.execute("MATCH (vertex) DETACH DELETE vertex").close()
            self.requests.clear()
            self.faults.clear()

    def run(self, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows that a query returns, or `RuntimeError`."""
        with self._running, self._connection.execute(query, parameters) as rows:
            names = rows.get_column_names()
            found = [dict(zip(names, row, strict=True)) for row in rows.get_all()]
        return [{**row, "kinds": [row["kinds"]]} if "kinds" in row else row for row in found]

    def next_fault(self) -> Fault | None:
        """What is to happen to this request."""
        with self._running:
            return self.faults.pop(0) if self.faults else None

    def close(self) -> None:
        """End it."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._connection.close()
        self._database.close()

    def _declare(self, edges: Collection[Edge]) -> None:
        declare = self._connection.execute
        for kind in sorted({"Player", *(edge.to for edge in edges)}):
            declare(f"CREATE NODE TABLE `{kind}`(`~id` STRING PRIMARY KEY, id STRING)").close()
        declare(
            "CREATE NODE TABLE Synced("
            "`~id` STRING PRIMARY KEY, id STRING, total INT64, label STRING, kind STRING, call STRING)"
        ).close()
        for label, kind in sorted((edge.label, edge.to) for edge in edges):
            declare(f"CREATE REL TABLE IF NOT EXISTS `{label}`(FROM Player TO `{kind}`, key STRING)").close()
            declare(f"ALTER TABLE `{label}` ADD IF NOT EXISTS FROM Player TO `{kind}`").close()
        declare("CREATE MACRO type(edge) AS label(edge)").close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: NeptuneServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections += 1

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/openCypher":
            return self._refuse(404, "BadRequestException", f"no such path: {self.path}")
        if wrong := what_is_wrong(self.command, self.path, self.headers, body, owner.credentials):
            return self._refuse(403, "AccessDeniedException", wrong)
        form = parse_qs(body.decode(), strict_parsing=True)
        request = Request(form["query"][0], json.loads(form["parameters"][0]))
        owner.requests.append(request)
        fault = owner.next_fault()
        rows: list[dict[str, Any]] = []
        if fault is None or fault.has_effect:
            try:
                rows = owner.run(*request)
            except RuntimeError as exc:
                return self._refuse(400, "MalformedQueryException", str(exc))
        return self._answer(200, json.dumps({"results": rows})) if fault is None else self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        status, text, _ = fault.value
        if fault in {Fault.BAD_GATEWAY, Fault.GARBLED}:
            self._answer(status, text)
        elif status:
            self._refuse(status, text, "as the test wants it, of player anna")
        else:
            self.close_connection = True
            if fault is Fault.SILENT:
                with suppress(OSError):
                    self.connection.recv(1)  # until the client has gone

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._answer(status, json.dumps({"requestId": "1-2-3", "code": code, "detailedMessage": message}))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def what_is_wrong(method: str, path: str, headers: Any, body: bytes, credentials: Credentials) -> str:
    """Why a request is not one that the owner of the credentials signed (SigV4); "" if it is."""
    algorithm, _, fields = headers.get("Authorization", "").partition(" ")
    if algorithm != "AWS4-HMAC-SHA256":
        return "not signed"
    given = dict(field.strip().split("=", 1) for field in fields.split(","))
    access_key, day, *scope = given["Credential"].split("/")
    if access_key != credentials.access_key or scope != [REGION, "neptune-db", "aws4_request"]:
        return f"signed by another, or for something else: {given['Credential']}"
    sent_at = headers.get("X-Amz-Date", "")
    when = datetime.strptime(sent_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if sent_at[:8] != day or abs(datetime.now(UTC) - when) > CLOCK_SKEW_MAX:
        return f"signed at another time: {sent_at}"
    if headers.get("X-Amz-Security-Token") != credentials.token:
        return "of another session"
    signed = given["SignedHeaders"].split(";")
    if not {"host", "x-amz-date"} <= set(signed) or (credentials.token and "x-amz-security-token" not in signed):
        return f"headers that are not signed: {signed}"
    canonical_headers = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    canonical = "\n".join(
        [method, path, "", canonical_headers, given["SignedHeaders"], hashlib.sha256(body).hexdigest()]
    )
    to_sign = "\n".join([algorithm, sent_at, "/".join([day, *scope]), hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, *scope):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(expected, given["Signature"]) else "the signature is another"
