"""Workers: the stages as processes that live on, for teams that run containers and no functions.

    apply, project                    shards, shared out by leases, a thread a shard
    link, audit, resolve, recheck     a queue
    verify                            a check every six seconds

Each runs what the function of its name runs. Stages keep copies of rows and images from batch to batch, and are made
for one thread. So each thread of a shard has a function of its own: with a lock instead, shards would wait for one
another's calls to DynamoDB. What the functions share, clients, store, cache, queues, is made for threads.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from playerstate.aws import settings as s
from playerstate.aws.consuming import consuming
from playerstate.aws.meter import Meter
from playerstate.aws.taking import MakeTaking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import BATCH_FAILURES
from playerstate.errors import InvalidUpdate, NotNow, OutcomeUnknown, StartRefused, Unavailable
from playerstate.ports.shards import Shards
from playerstate.runtime.shard_worker import LEASE_S, ShardWorker
from playerstate.runtime.step_worker import StepWorker

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
F_co = TypeVar("F_co", covariant=True)

WorkerStage = Literal["apply", "project", "link", "audit", "resolve", "recheck", "verify"]

CHECK_EVERY_S = 6.0
"""Ten checks a minute, as the state machine of the functions makes them."""
WAIT_S = 3
"""How long a receive waits for a message: an empty queue costs 0.9 million requests in a month."""
MESSAGES_MAX = 40
VISIBILITY_S = 60.0
"""Longer than it takes to try some messages one by one while a part does not answer."""
LINGER_S = 0.1
"""How long a queue is left alone that had few messages, so that more come together."""


class Worker(Protocol):
    """Does the work of a stage."""

    def run(self) -> None:
        """Work until `stop`. Raises the `PlayerStateError` that has stopped the worker, if one has."""
        ...

    def stop(self) -> None:
        """Have `run` finish what is under way, and return. For any thread."""
        ...


class Handles(Protocol[T_contra]):
    """The function of a stream."""

    def handle(self, records: Sequence[T_contra], /) -> None:
        """Process records of one shard."""
        ...


class PerThread(Generic[F_co]):
    """Something that each thread has one of, made when it first asks."""

    def __init__(self, make: Callable[[], F_co]) -> None:
        self._make = make
        self._mine = threading.local()

    def __call__(self) -> F_co:
        """The one of the thread that asks."""
        made: F_co | None = getattr(self._mine, "made", None)
        if made is None:
            made = self._mine.made = self._make()
        return made


def make_worker(stage: WorkerStage, wiring: Wiring, meter: Meter, *, lease_s: float = LEASE_S) -> Worker:
    """The worker of a stage; `meter` is one for threads. Raises `StartRefused`, `SchemaRefused`, `NotNow`."""
    if stage == "apply":
        return _apply(wiring, meter, lease_s)
    if stage == "project":
        return _project(wiring, meter, lease_s)
    if stage == "verify":
        return _verify(wiring, meter)
    return _of_queue(stage, wiring, meter)


def _apply(wiring: Wiring, meter: Meter, lease_s: float) -> Worker:
    from playerstate.aws.applying import applying
    from playerstate.backends.aws.shards import kinesis_shards

    function = PerThread(lambda: applying(wiring, meter))
    shards = kinesis_shards(wiring.clients, wiring.environment.text(s.STREAM))
    return _of_shards("apply", shards, function, wiring, meter, lease_s)


def _project(wiring: Wiring, meter: Meter, lease_s: float) -> Worker:
    from playerstate.aws.projecting import projecting
    from playerstate.backends.aws.shards import dynamodb_shards

    function = PerThread(lambda: projecting(wiring, meter))

    def refuse(record: Mapping[str, Any], refusal: InvalidUpdate) -> None:
        function().refuse(record, refusal)

    shards = dynamodb_shards(wiring.clients, _table_stream(wiring), refuse)
    return _of_shards("project", shards, function, wiring, meter, lease_s)


def _of_shards(
    stage: WorkerStage, shards: Shards[T], function: PerThread[Handles[T]], wiring: Wiring, meter: Meter, lease_s: float
) -> Worker:
    from playerstate.backends.aws.leases import DynamoDBLeases

    function()  # here, before there are threads: what is missing is told now, and what all share is made once

    def handle(records: Sequence[T]) -> None:
        try:
            function().handle(records)
        except (NotNow, OutcomeUnknown):
            meter.count(BATCH_FAILURES, 1, stage)
            raise

    leases = DynamoDBLeases(wiring.clients, wiring.environment.text(s.CONTROL_TABLE), stage)
    return ShardWorker(stage, shards, leases, handle, worker=_new_name(), lease_s=lease_s)


class _Queue(NamedTuple):
    setting: s.Setting
    make: MakeTaking


def _queue_of(stage: str) -> _Queue:
    if stage == "link":
        from playerstate.aws.linking import linking

        return _Queue(s.LINK_QUEUE_URL, linking)
    if stage == "audit":
        from playerstate.aws.auditing import auditing

        return _Queue(s.AUDIT_QUEUE_URL, auditing)
    if stage == "resolve":
        from playerstate.aws.resolving import resolving

        return _Queue(s.RESOLVE_QUEUE_URL, resolving)
    from playerstate.aws.rechecking import rechecking

    return _Queue(s.RECHECK_QUEUE_URL, rechecking)


def _of_queue(stage: WorkerStage, wiring: Wiring, meter: Meter) -> Worker:
    setting, make = _queue_of(stage)
    if not wiring.environment.text(setting):
        raise StartRefused(f"This deployment has none of {setting.meaning.partition(';')[0]}")
    queue = wiring.queue(setting, wait_s=WAIT_S)
    function = consuming(wiring, meter, make, queue)

    def step() -> float:
        messages = queue.receive(MESSAGES_MAX, visibility_s=VISIBILITY_S)
        done = function.take(messages)
        queue.delete(list(done))
        if messages and not done:
            raise Unavailable("none of the messages could be taken")  # so that the next ones are left alone for a while
        return LINGER_S if 0 < len(messages) < MESSAGES_MAX else 0.0  # if there was none, the receive has waited

    return StepWorker(stage, step)


def _verify(wiring: Wiring, meter: Meter) -> Worker:
    from playerstate.aws.verifying import verifying

    function = verifying(wiring, meter)
    run: dict[str, Any] = {}

    def step() -> float:
        nonlocal run
        done = function(run)
        run = done if done["again"] else {}
        return CHECK_EVERY_S

    return StepWorker("verify", step)


def _table_stream(wiring: Wiring) -> str:
    """The ARN of the stream of the table of rows."""
    table = wiring.environment.text(s.TABLE)
    arn = wiring.clients.read("dynamodb", "describe_table", TableName=table)["Table"].get("LatestStreamArn")
    if not arn:
        raise StartRefused(f"The table {table} has no stream")
    return str(arn)


def _new_name() -> str:
    """What no worker was ever called, at any start."""
    return f"{socket.gethostname()}-{secrets.token_hex(6)}"
