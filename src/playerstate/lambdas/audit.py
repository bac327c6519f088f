"""SQS -> audit -> Timestream."""

from __future__ import annotations

from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.emitting import Emit
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.wiring import Wiring
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.stages.audit import Record


def make(wiring: Wiring, emit: Emit) -> Consuming:
    """Wire the function."""
    queue = EventQueue()
    record = Record(wiring.audit, wiring.findings).handle
    consumer = QueueConsumer("audit", queue, record, wiring.dead_letters, wiring.clock, form=NOTICES_AND_DELIVERIES)
    return Consuming(queue, consumer, body_of(wiring.overflow), emit)


handler = Handler("audit", make)
