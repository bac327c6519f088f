"""Keys that regions disagree on -> resolve, of whatever queue."""

from __future__ import annotations

from playerstate.aws.meter import Meter
from playerstate.aws.taking import Taking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import CONFLICTS_RESOLVED
from playerstate.ports.queue import Queue
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.stages.resolve import Resolve


def resolving(wiring: Wiring, _: Meter, queue: Queue) -> Taking:
    """Wire the consumer. What changed under its hands is sent to its own queue, to come again later."""
    resolve = Resolve(wiring.schema, wiring.region, wiring.store, wiring.clock, retired=lambda: wiring.retired)
    consumer = ResolveConsumer(queue, resolve, None, wiring.dead_letters, wiring.clock)

    def tell(meter: Meter) -> None:
        meter.count(CONFLICTS_RESOLVED, consumer.conflicts_resolved)
        consumer.conflicts_resolved = 0

    return Taking(consumer, tell)
