"""A mapping of an SQS queue, moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws.polling.batching import due
from aws.polling.entries import payload_bytes
from aws.polling.invocation import Answered, Outcome
from aws.polling.responses import failed_of_queue
from aws.polling.settings import MappingSettings
from playerstate.backends.aws.clients import Clients
from playerstate.ports.clock import Clock

AT_ONCE_MAX = 10


class QueuePoller:
    """Receives messages, and calls a function with them, once at every step.

    What is done with is deleted. What has failed is left to become visible again, which `let_reappear` does at once;
    after its `maxReceiveCount` the queue itself moves it to its dead letters ("Error handling" of queues).
    """

    def __init__(
        self,
        clients: Clients,
        queue_url: str,
        invoke: Callable[[Mapping[str, Any]], Outcome],
        settings: MappingSettings,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._queue_url = queue_url
        attributes = clients.read("sqs", "get_queue_attributes", QueueUrl=queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]
        self._arn = attributes["QueueArn"]
        self._invoke = invoke
        self._settings = settings
        self._clock = clock
        self._waiting: list[dict[str, Any]] = []
        self._since_ms = 0
        self._failed: list[str] = []

    def step(self) -> int:
        """Receive, and send a batch if one is due; how many messages it had."""
        self._receive()
        sizes = [payload_bytes(record) for record in self._waiting]
        count = due(sizes, self._clock.now_ms() - self._since_ms, self._settings) if sizes else 0
        if count:
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
            self._since_ms = self._clock.now_ms()
            self._send(batch)
        return count

    def let_reappear(self) -> None:
        """Have the visibility time-out of all that has failed pass."""
        for receipt in self._failed:
            self._clients.write(
                "sqs",
                "change_message_visibility",
                QueueUrl=self._queue_url,
                ReceiptHandle=receipt,
                VisibilityTimeout=0,
            )
        self._failed.clear()

    @property
    def idle(self) -> bool:
        """Whether nothing is on the queue, visible or not."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        answer = self._clients.read("sqs", "get_queue_attributes", QueueUrl=self._queue_url, AttributeNames=names)
        return not self._waiting and not sum(int(answer["Attributes"][name]) for name in names)

    def _receive(self) -> None:
        while len(self._waiting) < self._settings.batch_size_max:
            answer = self._clients.read(
                "sqs",
                "receive_message",
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=min(AT_ONCE_MAX, self._settings.batch_size_max - len(self._waiting)),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            if not self._waiting:
                self._since_ms = self._clock.now_ms()
            self._waiting += [record_of(message, self._arn, self._clients.region) for message in messages]

    def _send(self, batch: Sequence[dict[str, Any]]) -> None:
        ids = [record["messageId"] for record in batch]
        outcome = self._invoke({"Records": batch})
        if isinstance(outcome, Answered):
            failed = failed_of_queue(outcome.response, ids, reports=self._settings.reports_item_failures)
        else:
            failed = set(ids)
        self._failed += [record["receiptHandle"] for record in batch if record["messageId"] in failed]
        self._delete([record["receiptHandle"] for record in batch if record["messageId"] not in failed])

    def _delete(self, receipts: Sequence[str]) -> None:
        for start in range(0, len(receipts), AT_ONCE_MAX):
            some = enumerate(receipts[start : start + AT_ONCE_MAX])
            entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in some]
            self._clients.write("sqs", "delete_message_batch", QueueUrl=self._queue_url, Entries=entries)


def record_of(message: Mapping[str, Any], queue_arn: str, region: str) -> dict[str, Any]:
    """A message as Lambda's events say it: names in lower case, values by their type."""
    attributes = {
        name: {
            **({"stringValue": value["StringValue"]} if "StringValue" in value else {}),
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": value["DataType"],
        }
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }
