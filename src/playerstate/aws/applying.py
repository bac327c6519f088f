"""Kinesis -> apply, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from playerstate.aws import settings as s
from playerstate.aws.events import Delivered, Response, failures, kinesis_records
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import BATCH_FAILURES, DEAD_LETTERS, DUPLICATES, ROWS_WRITTEN, UPDATES
from playerstate.core.model import DeadLetter
from playerstate.errors import InvalidUpdate, NotNow, OutcomeUnknown, described
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.stream import StreamRecord
from playerstate.stages.apply import DUPLICATE, Apply
from playerstate.stages.deliveries import NoteDeliveries
from playerstate.stages.put_aside import place_name
from playerstate.stages.told import tell_letters

log = structlog.get_logger(__name__)


class Applying:
    """The function. A batch that could not be finished comes again whole: what is done of it is not done twice.

    A promise that is broken (`InvariantViolated`) fails the call, so that the shard waits and the alarm on its age
    rings: what is behind it stands upon it.
    """

    def __init__(self, apply: Apply, dead_letters: DeadLetters, clock: Clock, meter: Meter) -> None:
        self._apply = apply
        self._dead_letters = dead_letters
        self._clock = clock
        self._meter = meter

    def __call__(self, event: object) -> Response:
        """Process an event of Kinesis."""
        entries = kinesis_records(event)
        try:
            self._refuse([entry for entry in entries if isinstance(entry.content, InvalidUpdate)])
            self.handle([entry.content for entry in entries if not isinstance(entry.content, InvalidUpdate)])
        except (NotNow, OutcomeUnknown) as exc:
            log.warning("a batch comes again", stage="apply", records=len(entries), error=described(exc))
            self._meter.count(BATCH_FAILURES, 1, "apply")
            return failures([entries[0].identifier])
        return failures([])

    def handle(self, records: Sequence[StreamRecord]) -> None:
        """Process records of one shard. Raises `NotNow` or `OutcomeUnknown` if they have to come again."""
        if not records:
            return
        applied = self._apply.handle(records)
        self._meter.count(ROWS_WRITTEN, applied.rows_written)
        for label, count in applied.outcomes.items():
            if label == DUPLICATE:
                self._meter.count(DUPLICATES, count)
            else:
                self._meter.count(UPDATES, count, label)
        self._meter.count(DEAD_LETTERS, applied.letters)

    def _refuse(self, entries: Sequence[Delivered[StreamRecord]]) -> None:
        """Put aside what is no record: somebody else has written to the stream."""
        now = self._clock.now_ms()
        letters = [
            DeadLetter(place_name(int(entry.identifier)), "apply", now, refusal.code, str(refusal), entry.body)
            for entry in entries
            if isinstance(refusal := entry.content, InvalidUpdate)
        ]
        if letters:
            self._meter.count(DEAD_LETTERS, self._dead_letters.put(letters))
            tell_letters(letters)


def applying(wiring: Wiring, meter: Meter) -> Applying:
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
