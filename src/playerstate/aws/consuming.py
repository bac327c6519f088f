"""SQS -> the consumer of a queue, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from playerstate.aws.event_queue import EventQueue
from playerstate.aws.events import Response, SqsMessage, failures, sqs_messages
from playerstate.aws.meter import Meter
from playerstate.aws.taking import MakeTaking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.bodies import ENCODING, Overflow, unpack
from playerstate.backends.aws.emf import BATCH_FAILURES
from playerstate.errors import InvalidUpdate, NotNow, OutcomeUnknown, described
from playerstate.ports.queue import Message, Queue
from playerstate.runtime.consumers import Consumer

log = structlog.get_logger(__name__)


class Consuming:
    """The function: a consumer takes what an event has brought. What it could not take comes again, message by message.

    `decode` gives the body that was sent; `tell` tells what came of it.
    """

    def __init__(
        self,
        queue: EventQueue,
        consumer: Consumer,
        decode: Callable[[SqsMessage], bytes],
        meter: Meter,
        tell: Callable[[Meter], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._consumer = consumer
        self._decode = decode
        self._meter = meter
        self._tell = tell

    def __call__(self, event: object) -> Response:
        """Process an event of SQS."""
        self._queue.fill([self._message(message) for message in sqs_messages(event)])
        try:
            while self._consumer.step():
                pass  # until the event is used up
        except (NotNow, OutcomeUnknown) as exc:
            left = len(self._queue.left)
            log.warning("messages come again", stage=self._consumer.name, messages=left, error=described(exc))
            self._meter.count(BATCH_FAILURES, 1, self._consumer.name)
        self._tell(self._meter)
        return failures(self._queue.left)

    def _message(self, message: SqsMessage) -> Message:
        try:
            body = self._decode(message)
        except InvalidUpdate:
            body = message.body.encode("utf-8", "replace")  # the consumer puts it aside as what it is
        return Message(message.message_id, body, message.attempt)


def consuming(wiring: Wiring, meter: Meter, make: MakeTaking, behind: Queue | None = None) -> Consuming:
    """Wire the function of a queue. What its consumer sends goes to `behind`, the queue itself."""
    queue = EventQueue(behind)
    taking = make(wiring, meter, queue)
    return Consuming(queue, taking.consumer, body_of(wiring.overflow), meter, taking.tell)


def body_of(overflow: Overflow | None) -> Callable[[SqsMessage], bytes]:
    """What gives the body that was sent with a message."""

    def body(message: SqsMessage) -> bytes:
        said = message.attributes.get(ENCODING)
        encoding = said.get("stringValue") if isinstance(said, Mapping) else None
        return unpack(message.body, encoding if isinstance(encoding, str) else "", overflow)

    return body
