"""What apply met and did nothing with -> the audit's queue: repeats, and what came too late.

It is for whoever asks what became of an update, and nothing hangs on it. So apply never waits for it and never fails by
it: what cannot be handed over is let go, and said in the log.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from playerstate.core.batch import Idle
from playerstate.core.model import Delivery
from playerstate.core.told import encode_deliveries
from playerstate.errors import PlayerStateError, described
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Queue

DELIVERIES_AT_ONCE_MAX = 1_000
"""Of one batch of apply, how many are handed over."""
PER_MESSAGE_MAX = 100
AGAIN_AFTER_MS = 30_000
"""How long a queue is left alone that did not take them."""

log = structlog.get_logger(__name__)


class NoteDeliveries:
    """Hands deliveries of one region over."""

    def __init__(self, region: str, queue: Queue, clock: Clock) -> None:
        self._region = region
        self._queue = queue
        self._clock = clock
        self._not_before = 0

    def __call__(self, idle: Sequence[Idle]) -> None:
        """Hand over what did nothing; all of it, some of it, or none."""
        now = self._clock.now_ms()
        if not idle or now < self._not_before:
            return
        noted = [self._delivery(one, now) for one in idle[:DELIVERIES_AT_ONCE_MAX]]
        places = range(0, len(noted), PER_MESSAGE_MAX)
        messages = [encode_deliveries(noted[place : place + PER_MESSAGE_MAX]) for place in places]
        try:
            self._queue.send(messages)
        except PlayerStateError as exc:
            self._not_before = now + AGAIN_AFTER_MS
            log.warning("repeats are missing from the history", count=len(idle), error=described(exc))

    def _delivery(self, idle: Idle, now: int) -> Delivery:
        item, outcome, epoch = idle
        update, (position, index) = item.update, item.place
        return Delivery(
            *update.first_key,
            self._region,
            position % 2**63,  # a sequence number of Kinesis has some 185 bits; what tells places apart are the last
            index,
            now,
            update.producer,
            update.sequence,
            update.sent_at,
            item.accepted_at,
            outcome,
            epoch,
        )
