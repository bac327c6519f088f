"""SQS -> recheck -> the cache, and where something is stuck, findings."""

from __future__ import annotations

from playerstate.aws import settings as s
from playerstate.aws.consuming import Consuming, body_of
from playerstate.aws.emitting import Emit
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.handler import Handler
from playerstate.aws.verifying import tell_findings
from playerstate.aws.ways import ProjectLag
from playerstate.aws.wiring import Wiring
from playerstate.core.lookups import decode_lookup, encode_lookup
from playerstate.runtime.messages import MessageForm, QueueConsumer
from playerstate.stages.recheck import STUCK_AFTER_S, Recheck, Rechecked

LOOKUPS = MessageForm(decode_lookup, lambda lookups: encode_lookup(lookups[0]))


def make(wiring: Wiring, emit: Emit) -> Consuming:
    """Wire the function."""
    behind_it = wiring.queue(s.RECHECK_QUEUE_URL)
    queue = EventQueue(behind_it)
    stage = Recheck(
        wiring.cache,
        behind_it,
        wiring.verify_once(stuck_after_s=STUCK_AFTER_S),
        wiring.clock,
        behind=ProjectLag(wiring.clients, wiring.environment.text(s.PROJECT_FUNCTION), wiring.clock),
    )
    consumer = QueueConsumer("verify", queue, stage.handle, wiring.dead_letters, wiring.clock, form=LOOKUPS)

    def tell(emit: Emit) -> None:
        done, stage.done = stage.done, Rechecked()
        emit({"ChangesChecked": done.checked, "Misses": done.misses})
        for age_s, judged in done.judged.items():
            emit({"ChangesJudged": judged, "ChangesRight": done.right[age_s]}, AgeS=str(age_s))
        tell_findings(emit, done.findings)
        if done.not_checked:
            emit({"NotChecked": done.not_checked.total()})

    return Consuming(queue, consumer, body_of(wiring.overflow), emit, tell)


handler = Handler("recheck", make)
