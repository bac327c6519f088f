"""Step Functions -> verify -> findings, repairs."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.handler import Handler
from playerstate.aws.meter import Meter
from playerstate.aws.verifying import Verifying
from playerstate.aws.wiring import Wiring
from playerstate.stages.recheck import STUCK_AFTER_S


def make(wiring: Wiring, meter: Meter) -> Verifying:
    """Wire the function."""
    return Verifying(
        wiring.verify_once(stuck_after_s=STUCK_AFTER_S),
        wiring.queue_if_any(s.RECHECK_QUEUE_URL),
        wiring.clock,
        meter,
        sample_keys=wiring.environment.number(s.SAMPLE_SIZE),
        checks_max=wiring.environment.number(s.CHECKS),
    )


handler = Handler("verify", make)
