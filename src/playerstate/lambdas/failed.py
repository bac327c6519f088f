"""SQS, of S3 -> what a stream has given up -> dead letters, another try."""

from __future__ import annotations

from playerstate.aws.failed import Failed
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.projecting import projecting
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.objects import read_object


def make(wiring: Wiring, meter: Meter) -> Failed:
    """Wire the function."""
    clients = wiring.clients
    return Failed(
        lambda bucket, key: read_object(clients, bucket, key),
        projecting(wiring, meter),
        wiring.dead_letters,
        wiring.clock,
        meter,
    )


handler = Handler("failed", make)
