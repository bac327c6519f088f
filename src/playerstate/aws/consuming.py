"""SQS -> the consumer of a queue, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from playerstate.aws.event_queue import EventQueue
from playerstate.aws.events import Response, SqsMessage, failures, sqs_messages
from playerstate.aws.meter import Meter
from playerstate.aws.taking import MakeTaking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.bodies import ENCODING, Overflow, unpack
from playerstate.backends.aws.emf import BATCH_FAILURES
from playerstate.errors import NotNow, PlayerStateError, described
from playerstate.ports.queue import Message, Queue
from playerstate.runtime.consumers import Consumer

STUMBLES_MAX = 3
"""How many messages in a row may fail before the others of an event are left for its next delivery."""

log = structlog.get_logger(__name__)


class Consuming:
    """The function: a consumer takes what an event has brought. What it could not take comes again, message by message.

    A step takes several messages at once. Where one fails, those that are left are taken one by one, so that nothing
    comes again, and nothing dies, for what stood beside it. After `STUMBLES_MAX` failures in a row, a part is away: the
    rest is not tried. `decode` gives the body that was sent; `tell` tells what came of it.
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
        messages = sqs_messages(event)
        readable = [body for message in messages if (body := self._message(message))]
        done = self.take(readable)
        return failures([message.message_id for message in messages if message.message_id not in done])

    def take(self, messages: Sequence[Message]) -> set[str]:
        """Take messages; the receipts of those that are done."""
        self._queue.fill(messages)
        try:
            while self._consumer.step():
                pass  # until they are used up
        except PlayerStateError as exc:
            self._say(exc)
            if len(messages) > 1:
                self._one_by_one()
        self._tell(self._meter)
        return {message.receipt for message in messages} - set(self._queue.left)

    def _one_by_one(self) -> None:
        batch_max, self._consumer.batch_max = self._consumer.batch_max, 1
        stumbles = 0
        try:
            self._queue.rewind()
            while stumbles < STUMBLES_MAX:
                try:
                    if not self._consumer.step():
                        return
                    stumbles = 0
                except PlayerStateError as exc:
                    self._say(exc)
                    stumbles += 1
        finally:
            self._consumer.batch_max = batch_max

    def _say(self, error: PlayerStateError) -> None:
        left = len(self._queue.left)
        log.warning("messages come again", stage=self._consumer.name, messages=left, error=described(error))
        self._meter.count(BATCH_FAILURES, 1, self._consumer.name)

    def _message(self, message: SqsMessage) -> Message | None:
        """A message as it was sent; None if its body lies elsewhere and cannot be had now."""
        try:
            return Message(message.message_id, self._decode(message), message.attempt)
        except NotNow as exc:
            log.warning("messages come again", stage=self._consumer.name, messages=1, error=described(exc))
            return None


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
