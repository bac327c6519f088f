"""A worker that takes one step after another, in the thread that runs it, until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

import structlog

from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, described

BACKOFF_MIN_S, BACKOFF_MAX_S = 0.25, 30.0
"""Each try of a queue's messages costs each of them one of the deliveries that its queue allows it."""

log = structlog.get_logger(__name__)


class StepWorker:
    """Calls `step`, which returns how long to wait before the next one (s).

    `NotNow`, `OutcomeUnknown` and what nobody foresaw is tried again without end, with growing pauses of random length;
    every other `PlayerStateError` stops the worker.
    """

    def __init__(self, stage: str, step: Callable[[], float], *, random: Random | None = None) -> None:
        self.stage = stage
        self._step = step
        self._stopping = threading.Event()
        self._random = random or Random()  # noqa: S311 - jitter

    def run(self) -> None:
        """Work until `stop`. Raises the error that has stopped the worker, if one has."""
        tries = 0
        while not self._stopping.is_set():
            try:
                pause_s = self._step()
            except Exception as exc:
                expected = isinstance(exc, PlayerStateError)
                if expected and not isinstance(exc, (NotNow, OutcomeUnknown)):
                    log.critical("a stage has stopped", stage=self.stage, error=described(exc))
                    raise
                log.warning("a stage tries again", stage=self.stage, error=described(exc), exc_info=not expected)
                pause_s = min(BACKOFF_MIN_S * 2.0 ** min(tries, 16), BACKOFF_MAX_S) * (0.5 + self._random.random())
                tries += 1
            else:
                tries = 0
            self._stopping.wait(pause_s)

    def stop(self) -> None:
        """Have `run` finish the step that is under way, and return. For any thread."""
        self._stopping.set()
