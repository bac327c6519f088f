"""A deployment on AWS as a `PlayerState`: the same calls as of a node, from any process that may use its services.

    with playerstate.aws.state.connect("aws://us-east-1/player-consistency-prod") as state:
        state.send(...)

The URL names the region of AWS and the deployment, whose settings lie in Systems Manager under `/NAME/settings`. The
game's schema is the file that they name or, where they name none, the parameter `/NAME/schema`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from playerstate.api import AnyUpdate
from playerstate.aws import settings as s
from playerstate.aws.sent import Sent
from playerstate.aws.settings import Environment
from playerstate.aws.ways import NoPositions
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.core.answers import Accepted, Answer, Stats
from playerstate.core.model import Stage
from playerstate.core.rechecks import reaches
from playerstate.errors import NotNow, StartRefused
from playerstate.ports.queue import Queue
from playerstate.ports.stream import NewRecord, StreamRecord
from playerstate.service import Parts, Service
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.history import Others
from playerstate.stages.recheck import STUCK_AFTER_S

T = TypeVar("T")

SCHEME = "aws"
DRAIN_POLL_S = 0.1
ELSEWHERE = "its history lies in its own region of AWS"


class OnlyAppends:
    """A Kinesis stream as the stream of a node that has no positions to tell: functions read it, not this process."""

    def __init__(self, stream: KinesisStream) -> None:
        self._stream = stream

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append records, as `KinesisStream` does."""
        return self._stream.append(records)

    def read(self, after: int, limit: int) -> list[StreamRecord]:
        """No records."""
        return []

    def head(self) -> int:
        """No position."""
        return 0

    def trim(self, up_to: int) -> int:
        """Nothing: Kinesis lets go of records by itself."""
        return 0


class _Late:
    """A part that is made when it is first used: a client that reads a key needs no rights to the graph."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._part: Any = None
        self._making = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._making:
            if self._part is None:
                self._part = self._make()
        return getattr(self._part, name)


def _late(make: Callable[[], T]) -> T:
    return cast("T", _Late(make))


class AwsState(Service):
    """A `PlayerState`. It knows what it has sent itself: `drain` waits for that, and for the queues to be empty.

    `parts` are the services that stand behind it.
    """

    def __init__(self, wiring: Wiring) -> None:
        nowhere = NoPositions()
        parts = Parts(
            _late(lambda: OnlyAppends(KinesisStream(wiring.clients, wiring.environment.text(s.STREAM)))),
            nowhere,
            _late(lambda: wiring.store),
            nowhere,
            _late(lambda: wiring.cache),
            _queues(wiring),
            _late(lambda: wiring.graph),
            _late(lambda: wiring.audit),
            _late(lambda: wiring.dead_letters),
            _late(lambda: wiring.findings),
        )
        accept = Accept(wiring.schema, parts.stream, wiring.clock, Lanes(secrets.token_hex(8), 1))
        self.parts = parts
        self._sent = Sent()
        super().__init__(
            wiring.schema,
            parts,
            accept,
            stats=lambda: Stats(wiring.region, {}, {}, {}, parts.dead_letters.count(), 0, accept=accept.stats()),
            verify_once=_late(lambda: wiring.verify_once(stuck_after_s=STUCK_AFTER_S)),
            on_accepted=lambda: None,
            on_close=lambda: None,
            clock=wiring.clock,
            other_audits=lambda: Others(
                {}, dict.fromkeys(wiring.regions[1:], "its history lies in its own region of AWS")
            ),
        )

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        """Send updates in order."""
        answers = super().send_many(updates)
        self._sent.add([answer.identity for answer in answers if isinstance(answer, Accepted)])
        return answers

    def drain(self, *, timeout_s: float) -> bool:
        """Wait until what was sent from here is applied and cached, and the queues are empty; False if time is up."""
        deadline = time.monotonic() + timeout_s
        keys = self._sent.keys()
        if not self._catch_up(deadline):
            return False
        expected = {key: view for key in keys if (view := self._stored_views(key.player_id).get(key.state_key))}

        def shown() -> bool:
            held = self._parts.cache.versions(list(expected))
            pairs = zip(held, expected.values(), strict=True)
            return all(version is None or reaches(version, view.version) for version, view in pairs)

        def empty() -> bool:
            return not any(queue.depth() for queue in self._parts.queues.values())

        return _wait(shown, deadline) and _wait(empty, deadline)

    def _catch_up(self, deadline: float) -> bool:
        return _wait(lambda: self._sent.settled(self._outcomes.of), deadline)


def connect(url: str, *, endpoint_url: str | None = None) -> AwsState:
    """The deployment at an `aws://REGION/NAME` URL. Raises `StartRefused` if it is none, `Unavailable`."""
    return AwsState(wiring_at(url, endpoint_url=endpoint_url))


def wiring_at(url: str, *, endpoint_url: str | None = None) -> Wiring:
    """The parts of the deployment at a URL."""
    parts = urlsplit(url)
    name = parts.path.strip("/")
    if parts.scheme != SCHEME or not parts.hostname or not name or "/" in name:
        raise StartRefused(f"A deployment's URL is like aws://us-east-1/player-consistency-prod, not {url!r}")
    clients = Clients(parts.hostname, endpoint_url=endpoint_url)
    parameter = f"/{name}/settings"
    environment = Environment.of_parameter(_parameter(clients, parameter), parameter)
    if environment.gives(s.SCHEMA):
        return Wiring(environment, clients)
    return Wiring(environment, clients, schema_text=_parameter(clients, f"/{name}/schema"))


def _parameter(clients: Clients, name: str) -> str:
    """A parameter's text. Raises `StartRefused` if it is not there."""
    try:
        answer = clients.read("ssm", "get_parameter", Name=name, WithDecryption=True)
    except NotNow as exc:
        if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) == "ParameterNotFound":
            raise StartRefused(f"There is no parameter {name}: is there such a deployment in this region?") from exc
        raise
    return str(answer["Parameter"]["Value"])


def _queues(wiring: Wiring) -> dict[Stage, Queue]:
    return {
        "link": _late(lambda: wiring.queue(s.LINK_QUEUE_URL)),
        "audit": _late(lambda: wiring.queue(s.AUDIT_QUEUE_URL)),
    }


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for a condition; False if the time runs out."""
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(DRAIN_POLL_S)
    return True
