"""SQS -> resolve -> DynamoDB."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.consuming import Consuming, consuming
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.resolving import resolving
from playerstate.aws.wiring import Wiring


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function."""
    return consuming(wiring, meter, resolving, wiring.queue(s.RESOLVE_QUEUE_URL))


handler = Handler("resolve", make)
