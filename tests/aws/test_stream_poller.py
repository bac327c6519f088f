"""The poller of streams on the emulator: what a handler is called with, in which order, and what follows failures."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

from aws.polling.destinations import QueueDestination, S3Destination
from aws.polling.settings import MappingSettings
from aws.polling.shards import Shards
from aws.polling.sources import DynamoDBSource, KinesisSource
from aws.polling.stream_poller import StreamPoller
from aws.receiving import STEPS_MAX, Receiver, clients_of, invoking, make_queue, make_stream, put, run, told
from aws.tables import make_rows_table
from ministack import MiniStack
from playerstate.backends.memory.clock import ManualClock


def polling(
    ministack: MiniStack, stream: str, receiver: Receiver, clock: ManualClock, settings: MappingSettings, **more: Any
) -> StreamPoller:
    source = KinesisSource(clients_of(ministack), stream)
    return StreamPoller(source, invoking(receiver), settings, clock, Random(1), **more)


def test_what_fails_comes_again_in_order(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """What lies before a failure is done with; what lies behind it waits, and passes once the failure has gone."""
    stream = make_stream(ministack)
    put(ministack, stream, "a1", "a2", "a3", "a4", "a5")
    poller = polling(ministack, stream, receiver, clock, MappingSettings(batch_size_max=3))
    receiver.bad = {"a2"}
    for _ in range(3):
        assert poller.step()
    assert receiver.batches == [["a1", "a2", "a3"], ["a2", "a3"], ["a2", "a3"]]
    assert not poller.idle
    receiver.bad = set()
    run(poller)
    assert receiver.batches[3:] == [["a2", "a3"], ["a4", "a5"]]


def test_bisecting_lets_all_others_pass(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """A record that raises is found by halving and goes to the bucket, with its event; the others pass, in order."""
    stream, bucket, clients = make_stream(ministack), ministack.name("bucket"), clients_of(ministack)
    clients.write("s3", "create_bucket", Bucket=bucket)
    put(ministack, stream, "a1", "a2", "a3", "a4")
    settings = MappingSettings(bisects_on_function_error=True, retry_attempts_max=2)
    destination = S3Destination(clients, bucket, Random(1))
    poller = polling(ministack, stream, receiver, clock, settings, on_failure=destination)
    receiver.bad, receiver.raises = {"a3"}, True
    run(poller)
    halves = [["a1", "a2", "a3", "a4"], ["a1", "a2"], ["a3", "a4"]]
    assert receiver.batches == [*halves, ["a3"], ["a3"], ["a3"], ["a4"]]
    (item,) = clients.read("s3", "list_objects_v2", Bucket=bucket)["Contents"]
    assert item["Key"].startswith(f"aws/lambda/{destination.mapping_id}/shardId-000000000000/")
    record = json.loads(clients.read("s3", "get_object", Bucket=bucket, Key=item["Key"])["Body"].read())
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    assert told(json.loads(record["payload"]))[0][1] == "a3"


def test_a_queue_is_told_of_what_is_too_old(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """Where the records were; what they said is not told, nor is the function called."""
    stream, queue_url, clients = make_stream(ministack), make_queue(ministack), clients_of(ministack)
    put(ministack, stream, "a1", "a2")
    settings = MappingSettings(record_age_ms_max=60_000)
    destination = QueueDestination(clients, queue_url, Random(1))
    poller = polling(ministack, stream, receiver, clock, settings, on_failure=destination)
    poller.read()
    clock.advance(120_000)
    run(poller)
    assert receiver.events == []
    (message,) = clients.read("sqs", "receive_message", QueueUrl=queue_url)["Messages"]
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RecordAgeExceeded"
    assert record["KinesisBatchInfo"]["batchSize"] == 2
    assert "payload" not in record


def test_a_window_gathers(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """What comes within the window goes together, what makes a batch full goes at once."""
    stream = make_stream(ministack)
    settings = MappingSettings(batch_size_max=3, batching_window_ms=5_000)
    poller = polling(ministack, stream, receiver, clock, settings)
    put(ministack, stream, "a1")
    assert poller.step() == 0
    clock.advance(4_999)
    put(ministack, stream, "a2")
    assert poller.step() == 0
    clock.advance(1)
    assert poller.step() == 2
    put(ministack, stream, "a3", "a4", "a5", "a6")
    assert [poller.step(), poller.step()] == [3, 0]
    assert receiver.batches == [["a1", "a2"], ["a3", "a4", "a5"]]


def test_a_key_that_fails_blocks_its_lane_alone(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """With several batches of a shard at once each key stays in order; a restart begins before what is not done."""
    stream, keys = make_stream(ministack), "abcdefgh"
    put(ministack, stream, *[f"{key}{n}" for n in range(3) for key in keys])
    settings = MappingSettings(batch_size_max=4, parallelization_factor=5)
    poller = polling(ministack, stream, receiver, clock, settings)
    receiver.bad = {"a0"}
    for _ in range(60):
        poller.step()
    first = [text for batch in receiver.batches for text in batch]
    assert len({text for text in first if text[1] == "2"}) > len(keys) / 2
    poller.restart()
    receiver.bad = set()
    receiver.events.clear()
    run(poller)
    again = [text for batch in receiver.batches for text in batch]
    assert {"a0", "a1", "a2"} <= set(again)
    assert {text for text in again if text[0] != "a"} & set(first), "what lies behind the checkpoint comes again"
    for key in keys:
        assert list(dict.fromkeys([text for text in first + again if text[0] == key])) == [key + n for n in "012"]


def test_children_wait_for_their_parents(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """What came after shards were split and merged is read once what came before is done with."""
    stream, shards = make_stream(ministack), Shards()
    poller = polling(ministack, stream, receiver, clock, MappingSettings(), shards=shards)
    receiver.bad = {"a0"}
    put(ministack, stream, "a0", "b0", "c0")
    poller.read()
    shards.split(next(iter(shards.open)))
    put(ministack, stream, "a1", "b1", "c1")
    poller.read()
    shards.merge(next(iter(shards.open)))
    put(ministack, stream, "a2", "b2", "c2")
    for _ in range(10):
        poller.step()
    assert {text[1] for batch in receiver.batches for text in batch} == {"0"}
    receiver.bad = set()
    run(poller)
    texts = [text for batch in receiver.batches for text in batch]
    for key in "abc":
        assert list(dict.fromkeys(text for text in texts if text[0] == key)) == [f"{key}0", f"{key}1", f"{key}2"]
    shard_ids = {record["eventID"].split(":")[0] for event in receiver.events for record in event["Records"]}
    assert len(shard_ids) >= 3
    assert poller.step() == 0
    assert len(receiver.batches) < STEPS_MAX


def test_changes_of_a_table(ministack: MiniStack, receiver: Receiver, clock: ManualClock) -> None:
    """Both images, bytes as base64, in the order of each item."""
    table, clients = make_rows_table(ministack), clients_of(ministack)
    for n in range(3):
        for player in ("ada", "bob"):
            item = {
                "player_id": {"S": player},
                "state_key": {"S": "gold#r1"},
                "version_vector": {"S": f"r1:{n}"},
                "body": {"B": f"{player} {n}".encode()},
            }
            clients.write("dynamodb", "put_item", TableName=table, Item=item)
    source = DynamoDBSource(clients, table)
    run(StreamPoller(source, invoking(receiver), MappingSettings(batch_size_max=4), clock, Random(1)))
    assert receiver.batches == [["ada 0", "bob 0", "ada 1", "bob 1"], ["ada 2", "bob 2"]]
    first, last = receiver.events[0]["Records"][0], receiver.events[1]["Records"][1]
    assert (first["eventName"], last["eventName"]) == ("INSERT", "MODIFY")
    assert "OldImage" not in first["dynamodb"]
    assert last["dynamodb"]["OldImage"]["body"] == {"B": base64.b64encode(b"bob 1").decode()}
