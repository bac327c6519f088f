"""Queues of the emulator, each with its dead-letter queue, and what is too large for them."""

from __future__ import annotations

import json
from random import Random

from ministack import MiniStack
from playerstate.backends.aws.bodies import MESSAGE_BYTES_MAX, Overflow
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.queue import SqsQueue

NOISE = Random(5).randbytes(MESSAGE_BYTES_MAX)
"""More than fits into a message, however it is compressed."""


class MemoryOverflow:
    """Bodies elsewhere."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, body: bytes) -> str:
        name = f"body-{len(self.kept)}"
        self.kept[name] = body
        return name

    def get(self, name: str) -> bytes | None:
        return self.kept.get(name)


class AwsQueue(SqsQueue):
    """A queue whose dead letters can be looked at, and which never waits for a message."""

    def __init__(self, clients: Clients, url: str, dead: SqsQueue, overflow: Overflow | None = None) -> None:
        super().__init__(clients, url, overflow=overflow, wait_s=0)
        self.clients, self.url = clients, url
        self._dead_queue = dead
        self._dead: list[bytes] = []

    def dead(self) -> list[bytes]:
        """The bodies of the messages that were received too often."""
        while messages := self._dead_queue.receive(10, visibility_s=30):
            self._dead += [message.body for message in messages]
            self._dead_queue.delete([message.receipt for message in messages])
        return list(self._dead)


def make_queue(ministack: MiniStack, attempts_max: int = 3, *, overflow: Overflow | None = None) -> AwsQueue:
    """A new queue, whose messages are dead after so many attempts."""
    clients = ministack.clients()
    name = ministack.name("queue")
    dead_url = clients.write("sqs", "create_queue", QueueName=f"{name}-dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": arn_of(clients, dead_url), "maxReceiveCount": attempts_max}
    attributes = {"RedrivePolicy": json.dumps(redrive)}
    url = clients.write("sqs", "create_queue", QueueName=name, Attributes=attributes)["QueueUrl"]
    return AwsQueue(clients, url, SqsQueue(clients, dead_url, overflow=overflow, wait_s=0), overflow)


def arn_of(clients: Clients, url: str) -> str:
    """The ARN of a queue."""
    answer = clients.read("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def hidden(queue: AwsQueue) -> int:
    """How many messages of a queue are delayed or in flight."""
    names = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    answer = queue.clients.read("sqs", "get_queue_attributes", QueueUrl=queue.url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)
