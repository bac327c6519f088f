"""What AWS does with functions, as far as a demonstration needs it: reads streams and queues, and calls handlers.

It keeps to the rules that matter for what comes out: a shard goes on only when its batch has succeeded, and a message
is deleted unless the handler names it. What else there is, windows, bisecting, retries, ages, the tests drive.
"""

from __future__ import annotations

import base64
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from playerstate.backends.aws.clients import Clients

Handler = Callable[[Any], Any]

BATCH = 100
IDLE_S = 0.05


class Driver:
    """Calls handlers in threads until it is stopped. `calls` and `records` count by handler; errors end it."""

    def __init__(self, clients: Clients) -> None:
        self.calls: Counter[str] = Counter()
        self.records: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self._clients = clients
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def stream(self, name: str, stream_name: str, handler: Handler) -> None:
        """Drive a handler with a Kinesis stream, a thread for each shard."""
        for shard in self._clients.read("kinesis", "list_shards", StreamName=stream_name)["Shards"]:
            start = {"StreamName": stream_name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self._clients.read("kinesis", "get_shard_iterator", **start)["ShardIterator"]
            self._start(name, lambda iterator=iterator: self._shard(name, "kinesis", iterator, kinesis_record, handler))

    def table(self, name: str, table: str, handler: Handler) -> None:
        """Drive a handler with the stream of a table."""
        arn = self._clients.read("dynamodb", "describe_table", TableName=table)["Table"]["LatestStreamArn"]
        described = self._clients.read("dynamodbstreams", "describe_stream", StreamArn=arn)["StreamDescription"]
        for shard in described["Shards"]:
            start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self._clients.read("dynamodbstreams", "get_shard_iterator", **start)["ShardIterator"]
            self._start(
                name, lambda iterator=iterator: self._shard(name, "dynamodbstreams", iterator, dynamodb_record, handler)
            )

    def queue(self, name: str, url: str, handler: Handler) -> None:
        """Drive a handler with a queue."""
        self._start(name, lambda: self._messages(name, url, handler))

    def stop(self) -> None:
        """Have all threads end, and wait for them."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _start(self, name: str, loop: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                loop()
            except BaseException as exc:  # whoever waits has to hear of it
                self.errors.append(exc)
                raise

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _shard(
        self, name: str, service: str, iterator: str, record_of: Callable[[Any], Mapping[str, Any]], handler: Handler
    ) -> None:
        while not self._stopped.is_set():
            page = self._clients.read(service, "get_records", ShardIterator=iterator, Limit=BATCH)
            if page["Records"]:
                self._succeed(name, handler, [record_of(record) for record in page["Records"]])
            else:
                self._stopped.wait(IDLE_S)
            iterator = page.get("NextShardIterator") or ""
            if not iterator:
                return

    def _succeed(self, name: str, handler: Handler, records: list[Mapping[str, Any]]) -> None:
        """Call until all of a batch is done, each time from the first record that failed."""
        while records and not self._stopped.is_set():
            failed = self._call(name, handler, records)
            if not failed:
                return
            places = [_number(record) for record in records]
            records = records[min(places.index(number) for number in failed) :]

    def _messages(self, name: str, url: str, handler: Handler) -> None:
        while not self._stopped.is_set():
            answer = self._clients.read(
                "sqs",
                "receive_message",
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                self._stopped.wait(IDLE_S)
                continue
            failed = self._call(name, handler, [sqs_message(message) for message in messages])
            for message in messages:
                if message["MessageId"] not in failed:
                    self._clients.write("sqs", "delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _call(self, name: str, handler: Handler, records: list[Mapping[str, Any]]) -> list[str]:
        """Call a handler; what it names as failed."""
        response = handler({"Records": records})
        self.calls[name] += 1
        self.records[name] += len(records)
        return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def _number(record: Mapping[str, Any]) -> str:
    part = record.get("kinesis") or record["dynamodb"]
    return str(part.get("sequenceNumber") or part["SequenceNumber"])


def kinesis_record(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of Kinesis, as Lambda hands it over."""
    return {
        "eventSource": "aws:kinesis",
        "kinesis": {
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
    }


def dynamodb_record(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of a table's stream, as Lambda hands it over."""
    part = dict(record["dynamodb"])
    part["ApproximateCreationDateTime"] = part["ApproximateCreationDateTime"].timestamp()
    for name in {"Keys", "NewImage", "OldImage"}.intersection(part):
        part[name] = {attribute: _json(value) for attribute, value in part[name].items()}
    return {"eventSource": "aws:dynamodb", "eventName": record["eventName"], "dynamodb": part}


def _json(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A value of an attribute as Lambda's JSON has it: bytes in base64."""
    return {kind: base64.b64encode(held).decode() if kind == "B" else held for kind, held in value.items()}


def sqs_message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message of SQS, as Lambda hands it over."""
    attributes = message.get("MessageAttributes", {})
    return {
        "eventSource": "aws:sqs",
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
            for name, value in attributes.items()
        },
    }
