"""Lookups -> recheck, of whatever queue."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.meter import Meter
from playerstate.aws.taking import Taking
from playerstate.aws.verifying import tell_findings
from playerstate.aws.ways import Lags
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import CHANGES_CHECKED, CHANGES_RIGHT, NOT_CHECKED
from playerstate.core.lookups import decode_lookup, encode_lookup
from playerstate.ports.queue import Queue
from playerstate.runtime.messages import MessageForm, QueueConsumer
from playerstate.stages.recheck import STUCK_AFTER_S, Recheck, Rechecked

LOOKUPS = MessageForm(decode_lookup, lambda lookups: encode_lookup(lookups[0]))


def rechecking(wiring: Wiring, _: Meter, queue: Queue) -> Taking:
    """Wire the consumer. What has to be looked at later is sent to its own queue.

    Where no function projects, nobody tells how far project is behind: then only age says what is late.
    """
    behind = Lags(
        wiring.clients,
        wiring.environment.text(s.PROJECT_FUNCTION),
        wiring.environment.text(s.LINK_QUEUE_URL),
        wiring.clock,
    )
    stage = Recheck(
        wiring.cache,
        queue,
        wiring.verify_once(stuck_after_s=STUCK_AFTER_S),
        wiring.clock,
        behind=behind,
    )
    consumer = QueueConsumer("verify", queue, stage.handle, wiring.dead_letters, wiring.clock, form=LOOKUPS)

    def tell(meter: Meter) -> None:
        done, stage.done = stage.done, Rechecked(wiring.clock.now_ms())
        for age_s, judged in done.judged.items():
            meter.count(CHANGES_CHECKED, judged, str(age_s))
            meter.count(CHANGES_RIGHT, done.right[age_s], str(age_s))
        tell_findings(meter, done.findings, done.began_at)
        meter.count(NOT_CHECKED, done.not_checked.total())

    return Taking(consumer, tell)
