"""A deployment on AWS as a `PlayerState`: the same calls as of a node, from any process that may use its services.

    with playerstate.aws.state.connect("aws://us-east-1/player-consistency-prod") as state:
        state.send(...)

The URL names the region of AWS and the deployment, whose settings lie in Systems Manager under `/NAME/settings`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from playerstate.api import AnyUpdate
from playerstate.aws import settings as s
from playerstate.aws.late import late
from playerstate.aws.sent import Sent
from playerstate.aws.settings import Environment
from playerstate.aws.ways import NoPositions
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.core.answers import Accepted, AcceptStats, Answer, Stats
from playerstate.core.letters import LetterSummary
from playerstate.core.model import Stage
from playerstate.core.rechecks import reaches
from playerstate.errors import StartRefused, Unavailable
from playerstate.ports.queue import Queue
from playerstate.ports.stream import NewRecord, StreamRecord
from playerstate.service import Parts, Service
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.history import Others
from playerstate.stages.recheck import STUCK_AFTER_S

SCHEME = "aws"
DRAIN_POLL_S = 0.1
NOT_ASKED = "its audit is not read from here; ask the deployment of that region"


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


class AwsState(Service):
    """A `PlayerState`. It knows what it has sent itself: `drain` waits for that, and for the queues to be empty.

    `parts` are the services that stand behind it.
    """

    def __init__(self, wiring: Wiring) -> None:
        nowhere = NoPositions()
        verify_once = cache(lambda: wiring.verify_once(stuck_after_s=STUCK_AFTER_S))
        parts = Parts(
            OnlyAppends(KinesisStream(wiring.clients, wiring.environment.text(s.STREAM))),
            nowhere,
            wiring.store,
            nowhere,
            late(lambda: wiring.cache),
            _queues(wiring),
            late(lambda: wiring.graph),
            late(lambda: wiring.audit),
            wiring.dead_letters,
            wiring.findings,
        )
        accept = Accept(wiring.schema, parts.stream, wiring.clock, Lanes(secrets.token_hex(8), 1))
        self.parts = parts
        self._sent = Sent()
        super().__init__(
            wiring.schema,
            parts,
            accept,
            stats=lambda: _stats(wiring.region, parts.dead_letters.summary(), accept.stats(), wiring.clock.now_ms()),
            verify_once=late(verify_once),
            on_accepted=lambda: None,
            on_close=lambda: None,
            clock=wiring.clock,
            other_audits=lambda: Others({}, dict.fromkeys(wiring.regions[1:], NOT_ASKED)),
        )

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        """Send updates in order."""
        answers = super().send_many(updates)
        self._sent.add([answer.identity for answer in answers if isinstance(answer, Accepted)])
        return answers

    def erase(self, player_id: str, *, reason: str) -> list[Accepted]:
        """Erase a player. What was sent before has no outcome to wait for any more."""
        accepted = super().erase(player_id, reason=reason)
        self._sent.forget(player_id)
        self._sent.add([answer.identity for answer in accepted])
        return accepted

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
    try:
        parts = urlsplit(url)
    except ValueError:  # half a pair of brackets
        parts = urlsplit("")
    name = parts.path.strip("/")
    if parts.scheme != SCHEME or not parts.hostname or not name or "/" in name:
        raise StartRefused(f"A deployment's URL is like aws://us-east-1/player-consistency-prod, not {url!r}")
    clients = Clients(parts.hostname, endpoint_url=endpoint_url)
    try:
        clients.of("ssm")
    except (BotoCoreError, ValueError) as exc:  # what is set for botocore is wrong: a profile, an endpoint, a region
        raise StartRefused(f"{url} cannot be reached: {exc}") from exc
    text = _parameter(clients, f"/{name}/settings")
    if text is None:
        raise StartRefused(f"There is no deployment {name} in {parts.hostname}: it has no parameter /{name}/settings")
    environment = Environment.of_parameter(text, f"/{name}/settings")
    if environment.gives(s.SCHEMA):
        return Wiring(environment, clients)
    schema_text = _parameter(clients, f"/{name}/schema")
    if schema_text is None and not Path(s.SCHEMA.default or "").is_file():
        raise StartRefused(f"The deployment {name} has no schema here: no parameter /{name}/schema, no game.toml")
    return Wiring(environment, clients, schema_text=schema_text)


def _parameter(clients: Clients, name: str) -> str | None:
    """The value of a parameter, None if there is none."""
    try:
        answer = clients.read("ssm", "get_parameter", Name=name, WithDecryption=True)
    except Unavailable as exc:
        if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) == "ParameterNotFound":
            return None
        raise
    return str(answer["Parameter"]["Value"])


def _stats(region: str, letters: LetterSummary, accept: AcceptStats, now: int) -> Stats:
    """What can be told from here: of what functions and workers have done, their metrics tell."""
    return Stats(
        region,
        {},
        {},
        {},
        letters.count,
        0,
        accept=accept,
        dead_letters_by_stage={str(stage): count for stage, count in letters.by_stage.items()},
        dead_letters_oldest_s=max(now - letters.oldest_at, 0) / 1000 if letters.oldest_at else 0.0,
    )


def _queues(wiring: Wiring) -> dict[Stage, Queue]:
    return {"link": wiring.queue(s.LINK_QUEUE_URL), "audit": wiring.queue(s.AUDIT_QUEUE_URL)}


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for a condition; False if the time runs out."""
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(DRAIN_POLL_S)
    return True
