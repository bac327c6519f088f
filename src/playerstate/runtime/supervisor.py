"""What looks after a node: a thread that does its rounds, in which no duty that fails holds up another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from playerstate.errors import PlayerStateError, described

SUPERVISE_EVERY_S = 0.25
FAULT_PAUSE_S = 5.0
"""How long a duty that met a fault is left alone: it may meet it every time."""

log = structlog.get_logger(__name__)


class Duty(NamedTuple):
    """Something to be done again and again, no more often than `every_s`. `name` is for the log."""

    name: str
    do: Callable[[], object]
    every_s: float = 0.0


class Supervisor:
    """Does duties one after the other in a thread, from `start` to `stop`.

    It is what would restart whatever has died, and say that something is wrong. So nothing that a duty raises ends it.
    """

    def __init__(self, duties: Sequence[Duty], every_s: float = SUPERVISE_EVERY_S) -> None:
        self._duties = duties
        self._every_s = every_s
        self._not_before = {duty.name: time.monotonic() + duty.every_s for duty in duties}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="playerstate-supervisor", daemon=True)

    @property
    def well(self) -> bool:
        """Whether its thread runs, or need not."""
        return self._stopping.is_set() or self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, and nothing else."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Do every duty whose time it is."""
        for duty in self._duties:
            now = time.monotonic()
            if now < self._not_before[duty.name]:
                continue
            self._not_before[duty.name] = now + duty.every_s
            try:
                duty.do()
            except PlayerStateError as exc:
                log.warning("the supervisor tries again", duty=duty.name, error=described(exc))
            except Exception:
                self._not_before[duty.name] = now + max(duty.every_s, FAULT_PAUSE_S)
                log.exception("the supervisor met a fault; it tries again", duty=duty.name)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self.look()
