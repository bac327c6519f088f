"""S3 -> what a stream has given up -> dead letters, another try."""

from __future__ import annotations

from playerstate.aws.emitting import Emit
from playerstate.aws.failed import Failed
from playerstate.aws.handler import Handler
from playerstate.aws.projecting import projecting
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.objects import read_object


def make(wiring: Wiring, emit: Emit) -> Failed:
    """Wire the function."""
    clients = wiring.clients
    return Failed(
        lambda bucket, key: read_object(clients, bucket, key),
        projecting(wiring, emit),
        wiring.dead_letters,
        wiring.clock,
        emit,
    )


handler = Handler("failed", make)
