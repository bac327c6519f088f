"""The poller of queues on the emulator."""

from __future__ import annotations

import json

import pytest

from aws.polling.queue_poller import QueuePoller
from aws.polling.settings import MappingSettings
from aws.receiving import Receiver, clients_of, invoking, make_queue, send
from ministack import MiniStack
from playerstate.backends.memory.clock import ManualClock


@pytest.mark.parametrize("raises", [False, True])
def test_failures(ministack: MiniStack, receiver: Receiver, clock: ManualClock, raises: bool) -> None:
    """What is done with is deleted; what has failed comes again when it is visible, then goes to the dead letters.

    All of a batch has failed if the function raises.
    """
    dead_letters, clients = make_queue(ministack), clients_of(ministack)
    named = clients.read("sqs", "get_queue_attributes", QueueUrl=dead_letters, AttributeNames=["QueueArn"])
    redrive = json.dumps({"deadLetterTargetArn": named["Attributes"]["QueueArn"], "maxReceiveCount": "3"})
    queue_url = make_queue(ministack, RedrivePolicy=redrive, VisibilityTimeout="600")
    send(ministack, queue_url, "one", "two", "three")
    poller = QueuePoller(clients, queue_url, invoking(receiver), MappingSettings(batch_size_max=10), clock)
    receiver.bad, receiver.raises = {"two"}, raises
    assert poller.step() == 3
    assert poller.step() == 0
    for _ in range(4):
        poller.let_reappear()
        poller.step()
    counts = [event["Records"][0]["attributes"]["ApproximateReceiveCount"] for event in receiver.events]
    assert counts == ["1", "2", "3"]
    assert [len(batch) for batch in receiver.batches] == ([3, 3, 3] if raises else [3, 1, 1])
    assert poller.idle
    dead = clients.read("sqs", "receive_message", QueueUrl=dead_letters, MaxNumberOfMessages=10)["Messages"]
    assert {message["Body"] for message in dead} == ({"one", "two", "three"} if raises else {"two"})


def test_a_window_gathers_more_than_one_receive(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """A batch may be larger than what a queue hands out at once."""
    queue_url = make_queue(ministack)
    settings = MappingSettings(batch_size_max=12, batching_window_ms=1_000)
    poller = QueuePoller(clients_of(ministack), queue_url, invoking(receiver), settings, clock)
    send(ministack, queue_url, *[str(n) for n in range(11)])
    assert poller.step() == 0
    send(ministack, queue_url, "11", "12")
    assert poller.step() == 12
    assert poller.step() == 0
    clock.advance(1_000)
    assert poller.step() == 1
    assert {text for batch in receiver.batches for text in batch} == {str(n) for n in range(13)}
