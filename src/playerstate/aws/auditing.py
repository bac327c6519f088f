"""Notices, and what came and changed nothing -> audit, of whatever queue."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.aws.meter import Meter
from playerstate.aws.taking import Taking
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import TRANSITIONS_RECORDED
from playerstate.core.told import Told
from playerstate.ports.queue import Queue
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.stages.audit import Record


def auditing(wiring: Wiring, meter: Meter, queue: Queue) -> Taking:
    """Wire the consumer."""
    record = Record(wiring.audit, wiring.findings)

    def handle(told: Sequence[Told]) -> int:
        recorded = record.handle(told)
        meter.count(TRANSITIONS_RECORDED, recorded)
        return recorded

    return Taking(QueueConsumer("audit", queue, handle, wiring.dead_letters, wiring.clock, form=NOTICES_AND_DELIVERIES))
