"""Streams as the emulator has them, read by the API, and their records as Lambda's events say them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from aws.polling.entries import Entry
from playerstate.backends.aws.clients import Clients

READ_AT_ONCE = 1000


class Source(Protocol):
    """A stream. `kind` is the `eventSource` of its records."""

    kind: str
    arn: str

    def read(self) -> list[Entry]:
        """Some of what has come since the last read, from the oldest that is there (`TRIM_HORIZON`)."""
        ...

    def record(self, entry: Entry, shard_id: str) -> dict[str, Any]:
        """A record of an event."""
        ...


class _Iterators:
    """Reads a stream's shards, one call each at a time."""

    def __init__(self, clients: Clients, service: str) -> None:
        self._clients = clients
        self._service = service
        self._iterators: dict[str, str | None] = {}

    def add(self, shard_id: str, **of_stream: str) -> None:
        answer = self._clients.read(
            self._service, "get_shard_iterator", ShardId=shard_id, ShardIteratorType="TRIM_HORIZON", **of_stream
        )
        self._iterators[shard_id] = answer["ShardIterator"]

    def read(self) -> list[Mapping[str, Any]]:
        records: list[Mapping[str, Any]] = []
        for shard_id, iterator in self._iterators.items():
            if iterator:
                answer = self._clients.read(self._service, "get_records", ShardIterator=iterator, Limit=READ_AT_ONCE)
                self._iterators[shard_id] = answer.get("NextShardIterator")
                records += answer["Records"]
        return records


class KinesisSource:
    """A Kinesis stream: order is kept of each partition key."""

    kind = "aws:kinesis"

    def __init__(self, clients: Clients, stream: str) -> None:
        described = clients.read("kinesis", "describe_stream", StreamName=stream)["StreamDescription"]
        self.arn: str = described["StreamARN"]
        self._region = clients.region
        self._iterators = _Iterators(clients, "kinesis")
        for shard in described["Shards"]:
            self._iterators.add(shard["ShardId"], StreamName=stream)

    def read(self) -> list[Entry]:
        """The records since the last read."""
        entries = []
        for record in self._iterators.read():
            arrived_at = _seconds(record["ApproximateArrivalTimestamp"])
            content = {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": arrived_at,
            }
            entries.append(Entry(record["SequenceNumber"], record["PartitionKey"], int(arrived_at * 1000), content))
        return entries

    def record(self, entry: Entry, shard_id: str) -> dict[str, Any]:
        """A record of an event, as AWS makes it."""
        return {
            "kinesis": entry.content,
            "eventSource": self.kind,
            "eventVersion": "1.0",
            "eventID": f"{shard_id}:{entry.sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/function-of-the-tests",
            "awsRegion": self._region,
            "eventSourceARN": self.arn,
        }


class DynamoDBSource:
    """A table's stream: order is kept of each item. What stands in bytes there is base64 in an event."""

    kind = "aws:dynamodb"

    def __init__(self, clients: Clients, table: str) -> None:
        self.arn: str = clients.read("dynamodb", "describe_table", TableName=table)["Table"]["LatestStreamArn"]
        self._region = clients.region
        self._iterators = _Iterators(clients, "dynamodbstreams")
        described = clients.read("dynamodbstreams", "describe_stream", StreamArn=self.arn)["StreamDescription"]
        for shard in described["Shards"]:
            self._iterators.add(shard["ShardId"], StreamArn=self.arn)

    def read(self) -> list[Entry]:
        """The records since the last read."""
        entries = []
        for record in self._iterators.read():
            part = record["dynamodb"]
            created_at = _seconds(part["ApproximateCreationDateTime"])
            images = {name: _plain(part[name]) for name in ("Keys", "NewImage", "OldImage") if name in part}
            change = {
                "ApproximateCreationDateTime": created_at,
                **images,
                "SequenceNumber": part["SequenceNumber"],
                "SizeBytes": part["SizeBytes"],
                "StreamViewType": part["StreamViewType"],
            }
            content = {"eventID": record["eventID"], "eventName": record["eventName"], "dynamodb": change}
            order_key = json.dumps(images["Keys"], sort_keys=True)
            entries.append(Entry(part["SequenceNumber"], order_key, int(created_at * 1000), content))
        return entries

    def record(self, entry: Entry, shard_id: str) -> dict[str, Any]:
        """A record of an event, as AWS makes it: it does not name the shard."""
        return {
            **entry.content,
            "eventVersion": "1.1",
            "eventSource": self.kind,
            "awsRegion": self._region,
            "eventSourceARN": self.arn,
        }


def _plain(value: Any) -> Any:
    """An image as JSON can say it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _seconds(at: datetime | float) -> float:
    return at.timestamp() if isinstance(at, datetime) else float(at)
