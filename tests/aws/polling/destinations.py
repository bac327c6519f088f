"""Where discarded batches go, and what is said of them there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from aws.polling.entries import Entry
from playerstate.backends.aws.clients import Clients

RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
TOO_OLD = "RecordAgeExceeded"
BATCH_INFO = {"aws:kinesis": "KinesisBatchInfo", "aws:dynamodb": "DDBStreamBatchInfo"}


class Discarded(NamedTuple):
    """Records that a mapping has let go of: where they come from, why, how often they were sent, and their event."""

    source: str
    stream_arn: str
    shard_id: str
    entries: tuple[Entry, ...]
    condition: str
    calls: int
    function_error: bool
    event: Mapping[str, Any]


class Destination(Protocol):
    """An on-failure destination (`OnFailure`)."""

    def put(self, discarded: Discarded, now_ms: int) -> None:
        """Keep what is to be known of a discarded batch."""
        ...


def invocation_record(discarded: Discarded, request_id: str, now_ms: int) -> dict[str, Any]:
    """What a queue is told ("Retain discarded batch records"): where the records are, and not what they say.

    That page names the condition of spent retries only; the other is as such records were seen.
    """
    first, last = discarded.entries[0], discarded.entries[-1]
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:function-of-the-tests",
            "condition": discarded.condition,
            "approximateInvokeCount": discarded.calls,
        },
        "version": "1.0",
        "timestamp": _instant(now_ms),
        BATCH_INFO[discarded.source]: {
            "shardId": discarded.shard_id,
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": _instant(first.arrived_at_ms),
            "approximateArrivalOfLastRecord": _instant(last.arrived_at_ms),
            "batchSize": len(discarded.entries),
            "streamArn": discarded.stream_arn,
        },
    }
    if discarded.calls:
        response = {"statusCode": 200, "executedVersion": "$LATEST"}
        record["responseContext"] = response | ({"functionError": "Unhandled"} if discarded.function_error else {})
    return record


def object_key(mapping_id: str, shard_id: str, now_ms: int, unique: str) -> str:
    """The name of an S3 destination's object: `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/<time>-<UUID>`."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"aws/lambda/{mapping_id}/{shard_id}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{unique}"


class S3Destination:
    """A bucket: what lands there holds the event too, as JSON in a string (`payload`, "only available in S3")."""

    def __init__(self, clients: Clients, bucket: str, random: Random) -> None:
        self.mapping_id = _uuid(random)
        self._clients = clients
        self._bucket = bucket
        self._random = random

    def put(self, discarded: Discarded, now_ms: int) -> None:
        """Put an object."""
        record = invocation_record(discarded, _uuid(self._random), now_ms)
        record["payload"] = json.dumps(discarded.event)
        key = object_key(self.mapping_id, discarded.shard_id, now_ms, _uuid(self._random))
        self._clients.write("s3", "put_object", Bucket=self._bucket, Key=key, Body=json.dumps(record).encode())


class QueueDestination:
    """A queue: it is told where the records are."""

    def __init__(self, clients: Clients, queue_url: str, random: Random) -> None:
        self._clients = clients
        self._queue_url = queue_url
        self._random = random

    def put(self, discarded: Discarded, now_ms: int) -> None:
        """Send a message."""
        body = json.dumps(invocation_record(discarded, _uuid(self._random), now_ms))
        self._clients.write("sqs", "send_message", QueueUrl=self._queue_url, MessageBody=body)


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))
