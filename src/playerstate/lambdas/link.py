"""SQS -> link -> Neptune."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import EDGES_SYNCED
from playerstate.core.model import Notice
from playerstate.runtime.messages import QueueConsumer
from playerstate.stages.link import Link


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function."""
    queue = EventQueue()
    link = Link(wiring.schema, wiring.graph)

    def handle(notices: Sequence[Notice]) -> int:
        behind = link.handle(notices)
        meter.count(EDGES_SYNCED, behind)
        return behind

    consumer = QueueConsumer("link", queue, handle, wiring.dead_letters, wiring.clock)
    return Consuming(queue, consumer, body_of(wiring.overflow), meter)


handler = Handler("link", make)
