"""Neptune's HTTPS endpoint for openCypher: a request is a query, and a transaction.

Requests are signed (SigV4) for the service `neptune-db`, with botocore's signer and over botocore's connections; no
client of botocore's is made, which would load a service's description first. Values reach Neptune as parameters alone.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

from playerstate.backends.aws.clients import CONNECT_TIMEOUT_S, CONNECTIONS_MAX, TRIES_MAX, Clients
from playerstate.backends.aws.errors import NOT_ALLOWED, AuthenticationFailed, translated
from playerstate.errors import InvariantViolated, OutcomeUnknown, PlayerStateError, SlowDown, Unavailable

SERVICE = "neptune-db"
ANSWER_TIMEOUT_S = 20.0

CONFLICTS = frozenset({"ConcurrentModificationException", "ConstraintViolationException"})
"""Another transaction was in the way, this one was rolled back. Two that make one vertex may be told of its id."""

THROTTLES = frozenset({"QueryLimitExceededException", "ThrottlingException", "TooManyRequestsException"})

STOPPED = frozenset(
    {
        "CancelledByMaintenanceException",
        "CancelledByUserException",
        "MemoryLimitExceededException",
        "TimeLimitExceededException",
    }
)
"""The query was stopped and rolled back. The same again would go the same way, so that it is left to the caller."""

MALFORMED = frozenset(
    {
        "BadRequestException",
        "IllegalArgumentException",
        "InvalidArgumentException",
        "InvalidNumericDataException",
        "InvalidParameterException",
        "MalformedQueryException",
        "MissingParameterException",
        "ParsingException",
        "QueryLimitException",
        "QueryTooLargeException",
        "UnsupportedOperationException",
    }
)
"""The query, or a parameter, is none that Neptune takes: a mistake in this package, or an engine that is too old."""

READ_ONLY = "ReadOnlyViolationException"
"""A connection that was opened before a fail-over leads to what is a replica now."""

SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
"""A request's body goes out right behind its headers: otherwise it would wait some 40 ms for an acknowledgement."""

Row = dict[str, Any]


class _Results(msgspec.Struct):
    results: list[Row]


class _Fault(msgspec.Struct):
    code: str = ""


class _Failure(NamedTuple):
    """Why a request has no rows, in our terms, and whether the same request may fare better in a moment."""

    error: PlayerStateError
    passes: bool
    cause: Exception | None = None


class NeptuneEndpoint:
    """A cluster's writer, at a URL such as `https://graph.cluster-x.us-east-1.neptune.amazonaws.com:8182`.

    Calls come from several threads; connections are kept and reused. `credentials` are botocore's, where those of the
    clients' session should not be used; `ca_bundle` names a file of the authorities that are trusted instead of
    botocore's own.
    """

    def __init__(
        self,
        url: str,
        clients: Clients,
        *,
        credentials: Any = None,
        ca_bundle: str | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._url = f"{url.rstrip('/')}/openCypher"
        self._clients = clients
        self._credentials = credentials
        self._finding_credentials = threading.Lock()
        self._http = URLLib3Session(
            verify=ca_bundle or True,
            timeout=(CONNECT_TIMEOUT_S, answer_timeout_s),
            max_pool_connections=CONNECTIONS_MAX,
            socket_options=SOCKET_OPTIONS,
        )

    def read(self, query: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows that a query without effects returns. Raises `NotNow`."""
        return self._call(query, parameters, changes=False, harmless=True)

    def write(self, query: str, parameters: Mapping[str, Any], *, harmless: bool) -> list[Row]:
        """The rows that a query with effects returns. Raises `NotNow` if it had none, `OutcomeUnknown` if in doubt.

        `harmless` says that to repeat the query does nothing that it has not done already; then it is repeated also
        where it may have had its effect.
        """
        return self._call(query, parameters, changes=True, harmless=harmless)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _call(self, query: str, parameters: Mapping[str, Any], *, changes: bool, harmless: bool) -> list[Row]:
        body = urlencode({"query": query, "parameters": msgspec.json.encode(parameters)})
        tries, doubt = 0, None
        while True:
            answer = self._try(body, changes=changes)
            if not isinstance(answer, _Failure):
                return answer
            tries += 1
            if isinstance(answer.error, OutcomeUnknown):
                doubt = answer
            if not answer.passes or tries == TRIES_MAX or (doubt and not harmless):
                told = doubt or answer  # that a later try did nothing says nothing of an earlier one
                raise told.error from told.cause
            self._clients.pause(tries)

    def _try(self, body: str, *, changes: bool) -> list[Row] | _Failure:
        request = AWSRequest("POST", self._url, {"Content-Type": "application/x-www-form-urlencoded"}, body)
        sent = False
        try:
            # signed anew on each try: a signature is good for five minutes, and credentials may have changed
            SigV4Auth(self._frozen_credentials(), SERVICE, self._clients.region).add_auth(request)
            sent = True
            answer = self._http.send(request.prepare())
        except (BotoCoreError, OSError) as exc:
            error = translated(exc, "Neptune", changes=changes and sent)
            return _Failure(error, passes=not isinstance(error, AuthenticationFailed), cause=exc)
        if answer.status_code != 200:
            return self._refused(answer.status_code, answer.content, changes=changes)
        try:
            return msgspec.json.decode(answer.content, type=_Results).results
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            return _Failure(_in_doubt("an answer that cannot be read", changes=changes), passes=True, cause=exc)

    def _refused(self, status: int, content: bytes, *, changes: bool) -> _Failure:
        """Nothing of what Neptune says is repeated but its code: it may quote ids of players."""
        try:
            code = msgspec.json.decode(content, type=_Fault).code
        except (msgspec.DecodeError, UnicodeDecodeError):
            code = ""  # a load balancer's page, or nothing
        told = f"Neptune: {code or status}"
        if code in CONFLICTS:
            return _Failure(Unavailable(told), passes=True)
        if code in THROTTLES or status == 429:
            return _Failure(SlowDown(told), passes=True)
        if code == READ_ONLY:
            self._http.close()  # the next connection asks anew which instance is the writer
            return _Failure(Unavailable(told), passes=True)
        if code in NOT_ALLOWED or status in {401, 403}:
            return _Failure(AuthenticationFailed(told), passes=False)
        if code in MALFORMED:
            return _Failure(InvariantViolated(told), passes=False)
        if code in STOPPED or status < 500:
            return _Failure(Unavailable(told), passes=False)
        return _Failure(_in_doubt(str(code or status), changes=changes), passes=True)

    def _frozen_credentials(self) -> Any:
        with self._finding_credentials:  # a session finds them when first asked, and is not made for several threads
            if self._credentials is None:
                self._credentials = self._clients.session.get_credentials()
            return self._credentials and self._credentials.get_frozen_credentials()  # the signer raises for None


def _in_doubt(what: str, *, changes: bool) -> PlayerStateError:
    return OutcomeUnknown(f"Neptune: {what}") if changes else Unavailable(f"Neptune: {what}")
