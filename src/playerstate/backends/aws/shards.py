"""Shards of Kinesis and of DynamoDB streams, read the same way: two services with one idea and other names for it.

A reader goes on *at* the last record it saw, not after it: that this record is still there shows that none behind it
has gone. Kinesis has no other way to tell. A record that was the last one for longer than the retention goes too, so
it is told that records *may* have been missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from botocore.exceptions import ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.backends.aws.images import decode_change
from playerstate.core.shards import Shard
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.ports.shards import HORIZON, Batch
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

EXPIRED, TRIMMED = "ExpiredIteratorException", "TrimmedDataAccessException"
RENEWALS_MAX = 3
"""How often in one read an iterator is made anew."""


class Numbered(NamedTuple):
    """A record as a service gives it, with its sequence number."""

    number: str
    raw: Mapping[str, Any]


class ShardApi(Protocol[T_co]):
    """What differs between the services. Iterators and sequence numbers are opaque."""

    def shards(self) -> Iterator[Shard]:
        """All shards."""
        ...

    def iterator(self, shard_id: str, at: str) -> str:
        """An iterator from the record with a sequence number on, or from the `HORIZON`."""
        ...

    def records(self, iterator: str, limit: int) -> tuple[list[Numbered], str | None]:
        """The next records, and the iterator for those that follow; None at the end of a closed shard."""
        ...

    def decode(self, record: Numbered) -> T_co | None:
        """What a record says; None if it is passed over."""
        ...


class ApiShards(Generic[T]):
    """`Shards` of either service."""

    def __init__(self, api: ShardApi[T]) -> None:
        self._api = api

    def shards(self) -> list[Shard]:
        """All shards that the service lists: those of which something may still be there."""
        return list(self._api.shards())

    def reader(self, shard_id: str, after: str) -> ApiShardReader[T]:
        """Read a shard from behind a position on."""
        return ApiShardReader(self._api, shard_id, after)


class ApiShardReader(Generic[T]):
    """A `ShardReader` of either service."""

    def __init__(self, api: ShardApi[T], shard_id: str, after: str) -> None:
        self._api = api
        self._shard_id = shard_id
        self._position = after
        self._iterator: str | None = None
        self._expects = HORIZON
        """The record that has to come first, for it was seen before."""
        self._ended = False
        self._trimmed = False

    def read(self, limit: int) -> Batch[T]:
        """The next records."""
        records: list[T] = []
        while not self._ended:
            found, following = self._fetch(limit)
            overlap = bool(found and self._expects)
            if overlap and found[0].number == self._expects:
                del found[0]
            elif overlap:
                self._trimmed = True
            decoded = map(self._api.decode, found)
            records = [record for record in decoded if record is not None]  # may fail: nothing has moved yet
            self._iterator, self._ended = following, following is None
            if found:
                self._position = found[-1].number
            if overlap:
                self._expects = HORIZON
            if found or not overlap:
                break
        trimmed, self._trimmed = self._trimmed, False
        return Batch(records, self._position, self._ended, trimmed)

    def _fetch(self, limit: int) -> tuple[list[Numbered], str | None]:
        """A page. An iterator that has expired is renewed; what has been trimmed is passed over."""
        renewals = 0
        while True:
            try:
                if self._iterator is None:
                    self._iterator = self._api.iterator(self._shard_id, self._position)
                    self._expects = self._position
                return self._api.records(self._iterator, limit)
            except Unavailable as exc:
                code = _answer(exc)
                if code not in {EXPIRED, TRIMMED} or renewals == RENEWALS_MAX:
                    raise
                renewals += 1
                self._iterator = None
                if code == TRIMMED:
                    self._position, self._trimmed = HORIZON, True


class KinesisApi:
    """Kinesis data streams, by the stream's name."""

    def __init__(self, clients: Clients, stream_name: str) -> None:
        self._clients = clients
        self._stream_name = stream_name

    def shards(self) -> Iterator[Shard]:
        """All shards within the stream's retention."""
        page = self._clients.read("kinesis", "list_shards", StreamName=self._stream_name)
        yield from map(_shard, page["Shards"])
        while token := page.get("NextToken"):
            page = self._clients.read("kinesis", "list_shards", NextToken=token)
            yield from map(_shard, page["Shards"])

    def iterator(self, shard_id: str, at: str) -> str:
        """Where to read on."""
        start = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if at == HORIZON
            else {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": at}
        )
        answer = self._clients.read(
            "kinesis", "get_shard_iterator", StreamName=self._stream_name, ShardId=shard_id, **start
        )
        return str(answer["ShardIterator"])

    def records(self, iterator: str, limit: int) -> tuple[list[Numbered], str | None]:
        """The next records."""
        answer = self._clients.read("kinesis", "get_records", ShardIterator=iterator, Limit=min(limit, 10_000))
        records = [Numbered(record["SequenceNumber"], record) for record in answer["Records"]]
        return records, answer.get("NextShardIterator")

    def decode(self, record: Numbered) -> StreamRecord:
        """A record of the stream; what its body says is the handler's."""
        return StreamRecord(int(record.number), record.raw["Data"])


class DynamoDBStreamsApi:
    """A DynamoDB table's stream of new and old images, by the stream's ARN.

    What is no write of a row goes to `refuse`, with the reason, and is passed over. If `refuse` raises `NotNow`, it
    comes again.
    """

    def __init__(
        self, clients: Clients, stream_arn: str, refuse: Callable[[Mapping[str, Any], InvalidUpdate], None]
    ) -> None:
        self._clients = clients
        self._stream_arn = stream_arn
        self._refuse = refuse

    def shards(self) -> Iterator[Shard]:
        """All shards of the last 24 hours."""
        after: dict[str, str] = {}
        while True:
            answer = self._clients.read("dynamodbstreams", "describe_stream", StreamArn=self._stream_arn, **after)
            description = answer["StreamDescription"]
            yield from map(_shard, description["Shards"])
            if not (last := description.get("LastEvaluatedShardId")):
                return
            after = {"ExclusiveStartShardId": last}

    def iterator(self, shard_id: str, at: str) -> str:
        """Where to read on."""
        start = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if at == HORIZON
            else {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": at}
        )
        answer = self._clients.read(
            "dynamodbstreams", "get_shard_iterator", StreamArn=self._stream_arn, ShardId=shard_id, **start
        )
        return str(answer["ShardIterator"])

    def records(self, iterator: str, limit: int) -> tuple[list[Numbered], str | None]:
        """The next records."""
        answer = self._clients.read("dynamodbstreams", "get_records", ShardIterator=iterator, Limit=min(limit, 1_000))
        records = [Numbered(record["dynamodb"]["SequenceNumber"], record) for record in answer["Records"]]
        return records, answer.get("NextShardIterator")

    def decode(self, record: Numbered) -> Change | None:
        """The change of a row, if it is one."""
        try:
            return decode_change(record.raw["dynamodb"])
        except InvalidUpdate as exc:
            self._refuse(record.raw, exc)
            return None


def kinesis_shards(clients: Clients, stream_name: str) -> ApiShards[StreamRecord]:
    """The shards of a Kinesis stream."""
    return ApiShards(KinesisApi(clients, stream_name))


def dynamodb_shards(
    clients: Clients, stream_arn: str, refuse: Callable[[Mapping[str, Any], InvalidUpdate], None]
) -> ApiShards[Change]:
    """The shards of a table's stream; `refuse` is given what is no write of a row."""
    return ApiShards(DynamoDBStreamsApi(clients, stream_arn, refuse))


def _shard(description: Mapping[str, Any]) -> Shard:
    parents = (description.get("ParentShardId"), description.get("AdjacentParentShardId"))
    closed = "EndingSequenceNumber" in description["SequenceNumberRange"]
    return Shard(description["ShardId"], tuple(parent for parent in parents if parent), closed)


def _answer(error: Unavailable) -> str:
    """The code that a service has answered with."""
    return code_of(error.__cause__) if isinstance(error.__cause__, ClientError) else ""
