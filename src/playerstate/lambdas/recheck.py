"""SQS -> recheck -> the cache, and where something is stuck, findings."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.consuming import Consuming, consuming
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.rechecking import rechecking
from playerstate.aws.wiring import Wiring


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function."""
    return consuming(wiring, meter, rechecking, wiring.queue(s.RECHECK_QUEUE_URL))


handler = Handler("recheck", make)
