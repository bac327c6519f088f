"""Sends a load open loop: at its rate, whether or not what was sent before has taken effect."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from playerstate.api import PlayerState
from playerstate.core.answers import Rejected
from playerstate.core.model import Update
from playerstate.replay.patience import Patience
from playerstate.workload.calls import in_calls
from playerstate.workload.ledger import Ledger

TICK_S = 0.01
CALL_UPDATES_MAX = 250
REPEAT_SHARE = 0.02
RECENT_CALLS_MAX = 100
"""How far back repeats reach, in calls."""


class Sender:
    """A sender, which books everything that it sends. Figures may be read from other threads while it runs.

    A share of the calls is sent once more later, word for word, as impatient clients do. `error` is what ended the
    sending early, if anything did; `rejections` are the texts of what was not even accepted.
    """

    def __init__(
        self, node: PlayerState, updates: Iterable[Update], ledger: Ledger, *, rate_per_s: int, seed: int
    ) -> None:
        self.sent = 0
        self.repeats = 0
        self.retried = 0
        self.rejections: list[str] = []
        self.error: Exception | None = None
        self._node = node
        self._updates: Iterator[Update] = iter(updates)
        self._ledger = ledger
        self._rate_per_s = rate_per_s
        self._random = random.Random(seed)  # noqa: S311 - it has to be reproducible
        self._recent: deque[list[Update]] = deque(maxlen=RECENT_CALLS_MAX)

    def warm_up(self) -> None:
        """Send one update, for the node's parts to be met for the first time."""
        self._send_some(1, Patience(time.sleep))

    def run(self, seconds: float, stop: threading.Event) -> None:
        """Send for a time, or until told to stop; less than the rate asks for where the calls take too long."""
        patience = Patience(time.sleep)
        began = time.monotonic()
        tick = began
        try:
            while not stop.is_set() and tick < began + seconds:
                due = int((tick - began + TICK_S) * self._rate_per_s) - self.sent
                self._send_some(max(0, min(due, CALL_UPDATES_MAX)), patience)
                tick = max(tick + TICK_S, time.monotonic())
                stop.wait(max(0.0, tick - time.monotonic()))
        except Exception as exc:  # noqa: BLE001 - whoever started the thread has to hear of it
            self.error = exc

    def _send_some(self, count: int, patience: Patience) -> None:
        now = time.time_ns() // 1_000_000
        fresh = (msgspec.structs.replace(update, sent_at=now) for update in islice(self._updates, count))
        for call in in_calls(fresh, CALL_UPDATES_MAX):
            for update in call:
                self._ledger.book(update)
            self._send(call, patience)
            self.sent += len(call)
            self._recent.append(call)
            if self._random.random() < REPEAT_SHARE:
                again = self._random.choice(self._recent)
                self._send(again, patience)
                self.repeats += len(again)

    def _send(self, call: list[Update], patience: Patience) -> None:
        before = patience.retries
        answers = patience(self._node.send_many, call)
        self.retried += (patience.retries - before) * len(call)
        self.rejections += [answer.message for answer in answers if isinstance(answer, Rejected)]
