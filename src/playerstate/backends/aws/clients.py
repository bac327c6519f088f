"""Clients of AWS's services: each is built once, when it is first used, and calls go through one place.

botocore tries nothing again by itself: what may be tried, and what that would mean, the caller knows. `read` tries
again whatever failed, `write` what was throttled or never sent, each for a bounded time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from playerstate.backends.aws.errors import THROTTLES, AuthenticationFailed, code_of, translated
from playerstate.errors import NotNow, StartRefused

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 32
TRIES_MAX = 5
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.025, 1.0


class Clients:
    """Clients in one region, shared by all threads. Credentials and endpoints come as botocore finds them.

    `endpoint_url` is for emulators; `wait` passes the time between two tries, in seconds.
    """

    def __init__(
        self,
        region: str,
        *,
        endpoint_url: str | None = None,
        wait: Callable[[float], None] = time.sleep,
        random: Random | None = None,
        **session: str,
    ) -> None:
        """Take `aws_access_key_id` and the like for `session`, where they should not be looked for."""
        self.region = region
        self._endpoint_url = endpoint_url
        self._wait = wait
        self._random = random or Random()  # noqa: S311 - jitter
        self._credentials = session
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._building = threading.Lock()

    @property
    def session(self) -> Any:
        """The session of botocore."""
        if self._session is None:
            self._session = botocore.session.Session()
        return self._session

    def in_region(self, region: str) -> Clients:
        """Clients of another region, with the same credentials."""
        return Clients(
            region, endpoint_url=self._endpoint_url, wait=self._wait, random=self._random, **self._credentials
        )

    def of(self, service: str) -> Any:
        """The client of a service such as `dynamodb`."""
        client = self._clients.get(service)
        if client is None:
            with self._building:  # botocore builds no two clients at once safely
                client = self._clients.get(service)
                if client is None:
                    client = self._clients[service] = self._build(service)
        return client

    def read(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """A call without effects, such as `read("dynamodb", "batch_get_item", ...)`. Raises `NotNow`."""
        return self._call(service, operation, parameters, changes=False)

    def write(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """A call with effects. Raises `NotNow` if it had none, `OutcomeUnknown` if that cannot be told.

        An answer that the caller wants to see, such as a condition that failed, comes as botocore's `ClientError` in
        `__cause__`.
        """
        return self._call(service, operation, parameters, changes=True)

    def pause_s(self, tries: int) -> float:
        """How long to wait after so many tries: twice as long each time, with jitter."""
        return min(BACKOFF_MIN_S * 2.0**tries, BACKOFF_MAX_S) * (0.5 + self._random.random())

    def pause(self, tries: int) -> None:
        """Wait that long."""
        self._wait(self.pause_s(tries))

    def _call(self, service: str, operation: str, parameters: dict[str, Any], *, changes: bool) -> dict[str, Any]:
        call = getattr(self.of(service), operation)
        tries = 0
        while True:
            try:
                return call(**parameters)
            except (ClientError, BotoCoreError, OSError) as exc:
                error = translated(exc, f"{service} {operation}", changes=changes)
                tries += 1
                if not isinstance(error, NotNow) or isinstance(error, AuthenticationFailed) or tries == TRIES_MAX:
                    raise error from exc
                if isinstance(exc, ClientError) and not _passes(exc):
                    raise error from exc
            self.pause(tries)

    def _build(self, service: str) -> Any:
        settings = Config(
            region_name=self.region,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=ANSWER_TIMEOUT_S,
            max_pool_connections=CONNECTIONS_MAX,
            parameter_validation=False,
            tcp_keepalive=True,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"} if self._endpoint_url else {},
        )
        try:
            return self.session.create_client(
                service, endpoint_url=self._endpoint_url, config=settings, **self._credentials
            )
        except (BotoCoreError, ValueError) as exc:  # a profile that is not there, half a pair of keys, no endpoint
            raise StartRefused(f"A client of {service} in {self.region} cannot be made: {exc}") from exc


def _passes(error: ClientError) -> bool:
    """Whether what a service has answered may be otherwise in a moment: throttling, or a fault of its own."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in THROTTLES or status >= 500
