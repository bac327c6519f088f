"""A handler that notes what it was called with, and streams and queues on the emulator to call it with."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from aws.polling.invocation import Handler, Outcome, call
from aws.polling.stream_poller import StreamPoller
from ministack import MiniStack
from playerstate.backends.aws.clients import Clients
from waiting import wait_until

STEPS_MAX = 200


class Receiver:
    """A handler that notes what it was called with, and fails where it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bad: set[str] = set()
        self.raises = False

    def __call__(self, event: dict[str, Any], _: object) -> dict[str, Any]:
        self.events.append(event)
        bad = [identifier for identifier, text in told(event) if text in self.bad]
        if bad and self.raises:
            raise ValueError(bad)
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in bad]}

    @property
    def batches(self) -> list[list[str]]:
        """The texts of each call's records."""
        return [[text for _, text in told(event)] for event in self.events]


def told(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Identifier and text of an event's records."""
    found = []
    for record in event["Records"]:
        if "kinesis" in record:
            kinesis = record["kinesis"]
            found.append((kinesis["sequenceNumber"], base64.b64decode(kinesis["data"]).decode()))
        elif "dynamodb" in record:
            change = record["dynamodb"]
            text = base64.b64decode(change["NewImage"]["body"]["B"]).decode()
            found.append((change["SequenceNumber"], text))
        else:
            found.append((record["messageId"], record["body"]))
    return found


def invoking(handler: Handler) -> Callable[[Mapping[str, Any]], Outcome]:
    """A function that is called as Lambda does."""

    def invoke(event: Mapping[str, Any]) -> Outcome:
        return call(handler, event)

    return invoke


@cache
def clients_of(ministack: MiniStack) -> Clients:
    """Clients of the emulator that all tests share, for building them takes longer than most calls."""
    return ministack.clients()


def make_stream(ministack: MiniStack) -> str:
    """A Kinesis stream of two shards; its name."""
    name, clients = ministack.name("stream"), clients_of(ministack)
    clients.write("kinesis", "create_stream", StreamName=name, ShardCount=2)

    def active() -> bool:
        described = clients.read("kinesis", "describe_stream_summary", StreamName=name)
        return bool(described["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

    wait_until(active, "the stream to be there")
    return name


def put(ministack: MiniStack, stream: str, *texts: str) -> None:
    """Append records; the partition key of one is its first letter."""
    records = [{"Data": text.encode(), "PartitionKey": text[0]} for text in texts]
    clients_of(ministack).write("kinesis", "put_records", StreamName=stream, Records=records)


def make_queue(ministack: MiniStack, **attributes: str) -> str:
    """A queue; its URL."""
    name = ministack.name("queue")
    return str(clients_of(ministack).write("sqs", "create_queue", QueueName=name, Attributes=attributes)["QueueUrl"])


def send(ministack: MiniStack, queue_url: str, *texts: str) -> None:
    """Send messages."""
    for text in texts:
        clients_of(ministack).write("sqs", "send_message", QueueUrl=queue_url, MessageBody=text)


def run(poller: StreamPoller) -> None:
    """Step until all is done with."""
    for _ in range(STEPS_MAX):
        if not poller.step() and poller.idle:
            return
    raise AssertionError("there is always something left to do")
