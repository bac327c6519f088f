"""SQS -> resolve -> DynamoDB."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import CONFLICTS_RESOLVED
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.stages.resolve import Resolve


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function. What changed under its hands is sent to its own queue, to come again later."""
    queue = EventQueue(wiring.queue(s.RESOLVE_QUEUE_URL))
    resolve = Resolve(wiring.schema, wiring.region, wiring.store, wiring.clock, retired=lambda: wiring.retired)
    consumer = ResolveConsumer(queue, resolve, None, wiring.dead_letters, wiring.clock)

    def tell(meter: Meter) -> None:
        meter.count(CONFLICTS_RESOLVED, consumer.conflicts_resolved)
        consumer.conflicts_resolved = 0

    return Consuming(queue, consumer, body_of(wiring.overflow), meter, tell)


handler = Handler("resolve", make)
