"""The events of the tests' own pollers against recorded ones: the same names, with the same types under them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aws.polling.queue_poller import QueuePoller
from aws.polling.settings import MappingSettings
from aws.polling.sources import DynamoDBSource, KinesisSource
from aws.polling.stream_poller import StreamPoller
from aws.receiving import Receiver, clients_of, invoking, make_queue, make_stream, put, run, send
from aws.tables import make_rows_table
from ministack import MiniStack
from playerstate.backends.memory.clock import ManualClock

SAMPLE_DATA = os.environ.get("PLAYERSTATE_SAMPLE_DATA", "")

pytestmark = pytest.mark.skipif(not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA does not name the recorded events")


def recorded(name: str) -> dict[str, Any]:
    """The first record of a recorded event."""
    record: dict[str, Any] = json.loads(Path(SAMPLE_DATA, "aws-events", name).read_text())["Records"][0]
    return record


def shape(value: Any) -> Any:
    """The names of a record, and the types under them."""
    if isinstance(value, Mapping):
        return {name: shape(part) for name, part in value.items()}
    return float if isinstance(value, (int, float)) else type(value)


def test_kinesis(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """A record of a Kinesis stream."""
    stream = make_stream(ministack)
    put(ministack, stream, "a")
    source = KinesisSource(clients_of(ministack), stream)
    run(StreamPoller(source, invoking(receiver), MappingSettings(), clock, Random(1)))
    assert shape(receiver.events[0]["Records"][0]) == shape(recorded("powertools-kinesisStreamEvent.json"))


def test_dynamodb(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """A record of a table's stream, but for what items hold and for who deletes what has expired."""
    table, clients = make_rows_table(ministack), clients_of(ministack)
    item = {"player_id": {"S": "a"}, "state_key": {"S": "gold#r1"}, "body": {"B": b"1"}}
    clients.write("dynamodb", "put_item", TableName=table, Item=item)
    run(StreamPoller(DynamoDBSource(clients, table), invoking(receiver), MappingSettings(), clock, Random(1)))
    made, real = receiver.events[0]["Records"][0], recorded("go-dynamodb-event.json")
    for record in (made, real):
        for name in ("Keys", "NewImage"):
            record["dynamodb"][name] = {}
    del real["userIdentity"]
    assert shape(made) == shape(real)


def test_sqs(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """A message, but for attributes that only some have."""
    queue_url = make_queue(ministack)
    send(ministack, queue_url, "a")
    QueuePoller(clients_of(ministack), queue_url, invoking(receiver), MappingSettings(), clock).step()
    made, real = receiver.events[0]["Records"][0], recorded("powertools-sqsEvent.json")
    real["messageAttributes"] = {}
    assert shape(made) == shape(real)
