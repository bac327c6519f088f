"""SQS -> audit -> Timestream."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import TRANSITIONS_RECORDED
from playerstate.core.told import Told
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.stages.audit import Record


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function."""
    queue = EventQueue()
    record = Record(wiring.audit, wiring.findings)

    def handle(told: Sequence[Told]) -> int:
        recorded = record.handle(told)
        meter.count(TRANSITIONS_RECORDED, recorded)
        return recorded

    consumer = QueueConsumer("audit", queue, handle, wiring.dead_letters, wiring.clock, form=NOTICES_AND_DELIVERIES)
    return Consuming(queue, consumer, body_of(wiring.overflow), meter)


handler = Handler("audit", make)
