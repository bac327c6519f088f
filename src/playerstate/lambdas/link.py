"""SQS -> link -> Neptune."""

from __future__ import annotations

from playerstate.aws.consuming import Consuming, consuming
from playerstate.aws.handler import Handler
from playerstate.aws.linking import linking
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring


def make(wiring: Wiring, meter: Meter) -> Consuming:
    """Wire the function."""
    return consuming(wiring, meter, linking)


handler = Handler("link", make)
