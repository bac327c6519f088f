"""A topic, in SNS, to which consumer groups' queues subscribe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playerstate.backends.aws.bodies import Overflow, Packed, pack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.sending import Entry, send_in_calls


class SnsTopic:
    """A `Sender`: each message goes to every queue whose subscription's filter policy matches `attributes`.

    Subscriptions have to be raw, so that a queue gets bodies and attributes as they were sent. Guarantees are those of
    `SqsQueue.send`; a topic delays nothing.
    """

    def __init__(
        self, clients: Clients, arn: str, attributes: Mapping[str, str], *, overflow: Overflow | None = None
    ) -> None:
        self._clients = clients
        self._arn = arn
        self._attributes = attributes
        self._overflow = overflow

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Publish messages.

        Raises `InvalidUpdate` for one that is too large, `NotNow` if none was sent, `OutcomeUnknown` if some may be.
        """
        if delay_s:
            raise ValueError("a topic delays nothing")
        packed = pack(list(bodies), self._attributes, self._overflow)
        send_in_calls(self._clients, packed, _entry_of, self._publish)

    def _publish(self, entries: Sequence[Entry]) -> dict[str, Any]:
        return self._clients.write("sns", "publish_batch", TopicArn=self._arn, PublishBatchRequestEntries=entries)


def _entry_of(packed: Packed) -> Entry:
    return {"Message": packed.text, "MessageAttributes": packed.attributes}
