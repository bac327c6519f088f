"""Kinesis -> apply -> DynamoDB."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.applying import Applying
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.stages.apply import Apply
from playerstate.stages.deliveries import NoteDeliveries


def make(wiring: Wiring, meter: Meter) -> Applying:
    """Wire the function."""
    clock = wiring.clock
    apply = Apply(
        wiring.schema,
        wiring.region,
        wiring.store,
        wiring.dead_letters,
        clock,
        retired=lambda: wiring.retired,
        note=NoteDeliveries(wiring.region, wiring.queue(s.AUDIT_QUEUE_URL), clock),
    )
    return Applying(apply, wiring.dead_letters, clock, meter)


handler = Handler("apply", make)
