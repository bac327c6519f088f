"""A loop: one thread that drives one consumer until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from playerstate.errors import InvariantViolated, PlayerStateError, described
from playerstate.runtime.consumers import Consumer

IDLE_S = 0.05
"""How long a loop that found nothing waits, unless it is woken."""
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.05, 5.0

log = structlog.get_logger(__name__)


class Loop:
    """Drives a consumer. What fails is tried again, with growing pauses; a broken promise halts the loop."""

    def __init__(self, consumer: Consumer, *, on_progress: Callable[[], None] = lambda: None) -> None:
        self.consumer = consumer
        self._on_progress = on_progress
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"playerstate-{consumer.name}", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the loop still runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the step that is under way, and no other."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        backoff = BACKOFF_MIN_S
        stats = self.consumer.stats
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                taken = self.consumer.step()
            except InvariantViolated as exc:
                stats.halted, stats.last_error = True, str(exc)
                log.critical("a stage has stopped", stage=self.consumer.name, error=described(exc))
                return
            except Exception as exc:
                stats.failures += 1
                stats.last_error = f"{type(exc).__name__}: {exc}"
                expected = isinstance(exc, PlayerStateError)
                log.warning(
                    "a stage tries again", stage=self.consumer.name, error=described(exc), exc_info=not expected
                )
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, BACKOFF_MAX_S)
                continue
            backoff = BACKOFF_MIN_S
            stats.cpu_s = time.thread_time()
            if taken:
                self._on_progress()
            if 0 < taken < self.consumer.batch_max:
                self._stopping.wait(self.consumer.linger_s)
            elif not taken:
                self._wake.wait(IDLE_S)
