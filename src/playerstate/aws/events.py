"""What AWS hands to a function, and what a function answers. Pure.

An envelope of another source than the one that a function is for is refused whole, with `wrong_event`: its mapping is
wrong, and trying again cannot help. What is wrong with one record is that record's alone: it stands among the others
as an `InvalidUpdate`, so that whoever handles the batch can put it aside.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from playerstate.backends.aws.images import decode_change
from playerstate.errors import InvalidUpdate
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord

T = TypeVar("T")

KINESIS, DYNAMODB, SQS, S3 = "aws:kinesis", "aws:dynamodb", "aws:sqs", "aws:s3"

Response: TypeAlias = dict[str, list[dict[str, str]]]
"""What has failed of a batch: `{"batchItemFailures": [{"itemIdentifier": ...}]}`; an empty list is success."""


class Delivered(NamedTuple, Generic[T]):
    """One record of an event: what names it in a response, what it says or why it cannot be read, and its raw body.

    `at` is when (ms) the source took it in, 0 where the event does not tell.
    """

    identifier: str
    content: T | InvalidUpdate
    body: bytes
    at: int = 0


class SqsMessage(NamedTuple):
    """A message as SQS delivers it: `attempt` counts its deliveries."""

    message_id: str
    body: str
    attributes: Mapping[str, Any]
    attempt: int


def kinesis_records(event: object) -> list[Delivered[StreamRecord]]:
    """The records of a Kinesis event, in the order of their shard; positions are their sequence numbers."""
    return [_kinesis_record(record) for record in _records(event, KINESIS, "kinesis")]


def dynamodb_changes(event: object) -> list[Delivered[Change]]:
    """The changes of a DynamoDB stream's event, in the order of their shard."""
    return [_dynamodb_change(record) for record in _records(event, DYNAMODB, "dynamodb")]


def sqs_messages(event: object) -> list[SqsMessage]:
    """The messages of an SQS event."""
    return [_sqs_message(record) for record in _records(event, SQS, "messageId")]


def s3_objects(event: object) -> list[tuple[str, str]]:
    """Bucket and key of the objects that S3 tells of. Keys are encoded as in a URL there."""
    from urllib.parse import unquote_plus

    objects = []
    for record in _records(event, S3, "s3"):
        bucket = _text(_part(record, "s3", "bucket"), "name")
        objects.append((bucket, unquote_plus(_text(_part(record, "s3", "object"), "key"))))
    return objects


def failures(identifiers: Iterable[str]) -> Response:
    """The response that names what has to come again."""
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


def _records(event: object, source: str, part: str) -> list[Mapping[str, Any]]:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not records:
        raise _wrong(f"an event of {source} has records")
    for record in records:
        if not isinstance(record, Mapping) or record.get("eventSource") != source or not record.get(part):
            raise _wrong(f"all records have to be of {source}")
    return records


def _kinesis_record(record: Mapping[str, Any]) -> Delivered[StreamRecord]:
    kinesis = _part(record, "kinesis")
    number = _text(kinesis, "sequenceNumber")
    if not (number.isascii() and number.isdigit()):
        raise _wrong("a sequence number has digits only")
    at = _milliseconds(kinesis.get("approximateArrivalTimestamp"))
    data = kinesis.get("data")
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else b""
    try:
        body = base64.b64decode(raw, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        body = None
    if body is None:
        return Delivered(number, InvalidUpdate("The record's data is not base64", code="not_a_record"), raw, at)
    return Delivered(number, StreamRecord(int(number), body), body, at)


def _dynamodb_change(record: Mapping[str, Any]) -> Delivered[Change]:
    part = _part(record, "dynamodb")
    number = _text(part, "SequenceNumber")
    at = _milliseconds(part.get("ApproximateCreationDateTime"))
    content = _or_refusal(lambda: decode_change(part))
    return Delivered(number, content, raw_of(part) if isinstance(content, InvalidUpdate) else content.new, at)


def raw_of(part: Mapping[str, Any]) -> bytes:
    """The part `dynamodb` of a record as text, for whoever has to find out what it is."""
    return json.dumps(part, default=str).encode()


def _sqs_message(record: Mapping[str, Any]) -> SqsMessage:
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, Mapping) else None
    attempt = int(count) if isinstance(count, str) and count.isdigit() else 1
    own = record.get("messageAttributes")
    return SqsMessage(
        _text(record, "messageId"), _text(record, "body"), own if isinstance(own, Mapping) else {}, attempt
    )


def _or_refusal(decode: Callable[[], T]) -> T | InvalidUpdate:
    try:
        return decode()
    except InvalidUpdate as exc:
        return exc


def _part(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        part = record.get(name)
        if not isinstance(part, Mapping):
            raise _wrong(f"a record has {name}")
        record = part
    return record


def _text(part: Mapping[str, Any], name: str) -> str:
    text = part.get(name)
    if not isinstance(text, str):
        raise _wrong(f"a record has {name}")
    return text


def _milliseconds(seconds: object) -> int:
    return int(seconds * 1000) if isinstance(seconds, (int, float)) else 0


def _wrong(why: str) -> InvalidUpdate:
    return InvalidUpdate(f"The event is not one that this function is for: {why}", code="wrong_event")
