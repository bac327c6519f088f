"""InfluxDB over HTTP: the two endpoints of version 1, `/write` and `/query`, which 2.x has too.

Version 2 wants a mapping of the database (and of the retention policy, if one is named) to a bucket, and a token;
version 1 takes a name and a password, or nothing. Whatever is written may be written again: a point replaces the one of
its series and time. So a write that was given up may have had its effect, and `Unavailable` still says what the caller
may do, which is to make it again.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeAlias
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from playerstate.backends.aws.errors import AuthenticationFailed
from playerstate.errors import NotNow, SlowDown, Unavailable

CONNECT_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 30.0
CONNECTIONS_MAX = 32
NOT_LET_IN = (401, 403)
TRIES_MAX = 5
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.05, 2.0
REQUEST_BYTES_MAX = 4_000_000
"""How much goes into one write, unless it is a single point. Servers take 25,000,000 bytes or more."""
REQUEST_LINES_MAX = 5_000
GZIP_LEVEL = 1
TOO_OLD = b"beyond retention policy"
"""What a server answers when it has taken all points but those that it would delete at once."""

Row: TypeAlias = dict[str, Any]


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Any]] = []
    partial: bool = False


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""
    partial: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] = []


_decode_answer = msgspec.json.Decoder(_Answer).decode


class InfluxServer:
    """A database on a server, shared by all threads. Connections are kept and used again.

    `url` is such as `https://name.example:8086`; what is behind it is verified against the machine's certificates, or
    against those of `ca_file`. `wait` passes the time between two tries, in seconds.
    """

    def __init__(
        self,
        url: str,
        database: str,
        *,
        retention_policy: str = "",
        token: Callable[[bool], str] | None = None,
        user: str = "",
        password: str = "",
        ca_file: str | None = None,
        wait: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        """Take what gives the token, or a user and a password; it is asked with True if the last one was refused."""
        self._url = url.rstrip("/")
        self._wait = wait
        self._random = random or Random()  # noqa: S311 - jitter
        named = {"db": database, "rp": retention_policy} if retention_policy else {"db": database}
        self._write_url = f"{self._url}/write?{urlencode({**named, 'precision': 'ns'})}"
        self._query_url = f"{self._url}/query?{urlencode({**named, 'epoch': 'ns'})}"
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        self._token = token
        if token is None and user:
            self._headers["Authorization"] = urllib3.make_headers(basic_auth=f"{user}:{password}")["authorization"]
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS_MAX, retries=False, ca_certs=ca_file)

    def write(self, lines: Sequence[str]) -> None:
        """Write points, each a line of the line protocol. Points older than the retention are not kept.

        They are there for every reader when this returns. If it raises `NotNow`, some of them may be.
        """
        headers = {**self._headers, "Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        for body in _bodies(lines):
            self._try("write", self._write_url, gzip.compress(body, GZIP_LEVEL), headers, WRITE_TIMEOUT_S)

    def query(self, statements: Sequence[str]) -> list[list[Row]]:
        """The rows of each InfluxQL statement: their columns by name, `time` in ns. Raises `NotNow`."""
        if not statements:
            return []
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"q": ";".join(statements)}).encode()
        data = self._try("query", self._query_url, body, headers, QUERY_TIMEOUT_S)
        try:
            results = _decode_answer(data).results
        except msgspec.DecodeError as exc:
            raise Unavailable("InfluxDB query: the answer cannot be read") from exc
        if len(results) != len(statements) or any(_is_incomplete(result) for result in results):
            raise Unavailable("InfluxDB query: a statement failed, or was not answered in full")
        return [list(_rows(result)) for result in results]

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _try(self, what: str, url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> bytes:
        """A call, made again a bounded number of times if it may go otherwise in a moment."""
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s)
        tries = 0
        refused = False
        while True:
            cause: HTTPError | None = None
            if self._token is not None and (token := self._token(refused)):
                headers = {**headers, "Authorization": f"Token {token}"}
            try:
                answer = self._pool.request("POST", url, body=body, headers=headers, timeout=timeout, redirect=False)
            except HTTPError as exc:
                cause, error, passes = exc, _nobody(what, exc), True
            else:
                if answer.status in (200, 204) or (answer.status in (400, 422) and TOO_OLD in answer.data):
                    return answer.data
                error, passes = _refusal(what, answer.status)
                if answer.status in NOT_LET_IN and self._token is not None and not refused:
                    refused = passes = True  # it may have been changed since it was read
            tries += 1
            if not passes or tries == TRIES_MAX:
                raise error from cause
            self._wait(min(BACKOFF_MIN_S * 2.0**tries, BACKOFF_MAX_S) * (0.5 + self._random.random()))


def _nobody(what: str, error: HTTPError) -> NotNow:
    return Unavailable(f"InfluxDB {what}: {type(error).__name__}")


def _refusal(what: str, status: int) -> tuple[NotNow, bool]:
    """What a status comes to, and whether it may pass. The text with it is not repeated: it quotes what was sent."""
    text = f"InfluxDB {what}: {status}"
    if status in NOT_LET_IN:
        return AuthenticationFailed(text), False
    if status in (429, 503):
        return SlowDown(text), True
    return Unavailable(text), status >= 500


def _bodies(lines: Sequence[str]) -> Iterator[bytes]:
    """The lines, as much at a time as goes into one request."""
    begin = size = 0
    encoded = [line.encode() for line in lines]
    for at, line in enumerate(encoded):
        if at > begin and (size + len(line) >= REQUEST_BYTES_MAX or at - begin == REQUEST_LINES_MAX):
            yield b"\n".join(encoded[begin:at])
            begin, size = at, 0
        size += len(line) + 1
    if begin < len(encoded):
        yield b"\n".join(encoded[begin:])


def _is_incomplete(result: _Result) -> bool:
    return bool(result.error) or result.partial or any(series.partial for series in result.series)


def _rows(result: _Result) -> Iterator[Row]:
    for series in result.series:
        for values in series.values:
            yield dict(zip(series.columns, values, strict=True))
