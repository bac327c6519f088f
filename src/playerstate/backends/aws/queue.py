"""A consumer group's queue, in SQS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import structlog

from playerstate.backends.aws.bodies import ENCODING, Overflow, Packed, pack, unpack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.sending import ENTRIES_MAX, Entry, repeat, send_in_calls
from playerstate.errors import NotNow
from playerstate.ports.queue import Message

DELAY_S_MAX = 900
VISIBILITY_S_MAX = 12 * 3600
WAIT_S_MAX = 3
"""How long a receive may wait for a message: well below the time after which a client gives an answer up."""

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

log = structlog.get_logger(__name__)


class SqsQueue:
    """A `Queue`. Which message is dead after how many attempts says the queue's redrive policy.

    - `send` is all or none up to ten messages of 256 KB together. Beyond, or where SQS takes some and leaves others
      for good, it raises `OutcomeUnknown` if any was sent.
    - Times are whole seconds here; fractions are rounded up.
    - `depth` is approximate: it may lag behind by a minute.
    - A receive waits up to `wait_s` for the first message. With 0 it asks a part of SQS's servers only, and may find
      nothing where there is something.
    - A receipt of an earlier attempt usually deletes nothing, which SQS does not promise.
    """

    def __init__(self, clients: Clients, url: str, *, overflow: Overflow | None = None, wait_s: int = 1) -> None:
        if not 0 <= wait_s <= WAIT_S_MAX:
            raise ValueError(f"a receive waits 0 to {WAIT_S_MAX} s")
        self._clients = clients
        self._url = url
        self._overflow = overflow
        self._wait_s = wait_s

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue; they become visible after `delay_s`.

        Raises `InvalidUpdate` for one that is too large, `NotNow` if none was sent, `OutcomeUnknown` if some may be.
        """
        delay = _seconds(delay_s, DELAY_S_MAX)

        def entry_of(packed: Packed) -> Entry:
            return {"MessageBody": packed.text, "MessageAttributes": packed.attributes, "DelaySeconds": delay}

        def call(entries: Sequence[Entry]) -> dict[str, Any]:
            return self._clients.write("sqs", "send_message_batch", QueueUrl=self._url, Entries=entries)

        send_in_calls(self._clients, pack(list(bodies), {}, self._overflow), entry_of, call)

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """Up to `limit` visible messages, by ten a call. Raises `NotNow` if the first call fails."""
        visibility = _seconds(visibility_s, VISIBILITY_S_MAX)
        messages: list[Message] = []
        seen = 0
        while seen < limit:
            count = min(ENTRIES_MAX, limit - seen)
            try:
                found = self._receive(count, visibility, 0 if seen else self._wait_s)
            except NotNow as exc:
                if not messages:
                    raise
                log.warning("a queue gave a part of its messages", count=len(messages), error=str(exc))
                break
            if not found:
                break
            seen += len(found)
            messages += [message for one in found if (message := self._message(one))]
        return messages

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages that were received. A receipt that is no longer valid is ignored."""
        for start in range(0, len(receipts), ENTRIES_MAX):
            batch = receipts[start : start + ENTRIES_MAX]
            entries = {str(n): {"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(batch)}
            repeat(self._clients, entries, self._delete)

    def depth(self) -> int:
        """How many messages wait, visible or not; approximately."""
        answer = self._clients.read("sqs", "get_queue_attributes", QueueUrl=self._url, AttributeNames=_COUNTS)
        return sum(int(answer["Attributes"][name]) for name in _COUNTS)

    def _receive(self, count: int, visibility_s: int, wait_s: int) -> list[dict[str, Any]]:
        # a receive whose answer is lost hides messages for a while, and does them no other harm
        answer = self._clients.read(
            "sqs",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=count,
            VisibilityTimeout=visibility_s,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=[ENCODING],
        )
        return answer.get("Messages", [])

    def _message(self, found: dict[str, Any]) -> Message | None:
        """The message, or None where its body cannot be had now: then it comes again."""
        try:
            encoding = found.get("MessageAttributes", {}).get(ENCODING, {}).get("StringValue", "")
            body = unpack(found["Body"], encoding, self._overflow)
        except NotNow as exc:
            log.warning("a large message cannot be fetched", error=str(exc))
            return None
        return Message(found["ReceiptHandle"], body, int(found["Attributes"]["ApproximateReceiveCount"]))

    def _delete(self, entries: Sequence[Entry]) -> dict[str, Any]:
        # deleting again what is gone changes nothing, so nothing is ever unknown about it
        answer = self._clients.read("sqs", "delete_message_batch", QueueUrl=self._url, Entries=entries)
        return {"Failed": [one for one in answer.get("Failed", []) if one.get("Code") not in _NO_LONGER_VALID]}


_NO_LONGER_VALID = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue"})
"""What a receipt is answered with that is no longer valid."""


def _seconds(seconds: float, most: int) -> int:
    whole = math.ceil(seconds)
    if not 0 <= whole <= most:
        raise ValueError(f"{seconds} s is not between 0 and {most} s")
    return whole
