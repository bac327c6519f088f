"""Notices -> link, of whatever queue."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.aws.meter import Meter
from playerstate.aws.taking import Taking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import EDGES_SYNCED
from playerstate.core.model import Notice
from playerstate.ports.queue import Queue
from playerstate.runtime.messages import QueueConsumer
from playerstate.stages.link import Link


def linking(wiring: Wiring, meter: Meter, queue: Queue) -> Taking:
    """Wire the consumer."""
    link = Link(wiring.schema, wiring.graph)

    def handle(notices: Sequence[Notice]) -> int:
        behind = link.handle(notices)
        meter.count(EDGES_SYNCED, behind)
        return behind

    return Taking(QueueConsumer("link", queue, handle, wiring.dead_letters, wiring.clock))
