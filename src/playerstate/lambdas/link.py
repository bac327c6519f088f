"""SQS -> link -> Neptune."""

from __future__ import annotations

from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.emitting import Emit
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.wiring import Wiring
from playerstate.runtime.messages import QueueConsumer
from playerstate.stages.link import Link


def make(wiring: Wiring, emit: Emit) -> Consuming:
    """Wire the function."""
    queue = EventQueue()
    link = Link(wiring.schema, wiring.graph).handle
    consumer = QueueConsumer("link", queue, link, wiring.dead_letters, wiring.clock)
    return Consuming(queue, consumer, body_of(wiring.overflow), emit)


handler = Handler("link", make)
