"""Events as AWS hands them to functions, made of what the memory backends hold."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from playerstate.core.version_vector import format_vector
from playerstate.core.wire import read_row_head
from playerstate.errors import InvariantViolated
from playerstate.ports.queue import Message
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord

AT_S = 1_700_000_000.5


def kinesis_event(records: Sequence[StreamRecord]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "anyone",
                    "sequenceNumber": str(record.position),
                    "data": base64.b64encode(record.body).decode(),
                    "approximateArrivalTimestamp": AT_S,
                },
                "eventSource": "aws:kinesis",
                "eventID": f"shardId-000000000000:{record.position}",
                "eventName": "aws:kinesis:record",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/updates",
            }
            for record in records
        ]
    }


def dynamodb_event(changes: Sequence[Change]) -> dict[str, Any]:
    return {"Records": [_change(change) for change in changes]}


def _change(change: Change) -> dict[str, Any]:
    names = {
        "player_id": {"S": change.key.player_id},
        "state_key": {"S": f"{change.key.state_key}#{change.region}"},
    }
    images = {"NewImage": change.new} | ({"OldImage": change.old} if change.old is not None else {})
    return {
        "eventID": str(change.position),
        "eventName": "INSERT" if change.old is None else "MODIFY",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": AT_S,
            "Keys": names,
            "SequenceNumber": str(change.position),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **{name: _image(names, body) for name, body in images.items()},
        },
    }


def _image(names: dict[str, Any], body: bytes) -> dict[str, Any]:
    try:
        version = format_vector(read_row_head(body).vector)
    except InvariantViolated:
        version = "local:1"
    return {**names, "version_vector": {"S": version}, "body": {"B": base64.b64encode(body).decode()}}


def sqs_event(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": message.receipt,
                "receiptHandle": f"handle-of-{message.receipt}",
                "body": message.body.decode(),
                "attributes": {"ApproximateReceiveCount": str(message.attempt)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
            for message in messages
        ]
    }
