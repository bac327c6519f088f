"""What enforces rules of retention: a thread that runs them, and the clock that they go by.

Rules run one after the other, a batch at a time, with pauses as long as the batches worked, so that nobody who writes
the same file waits for long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from playerstate.core.answers import RetentionStats
from playerstate.errors import PlayerStateError, described
from playerstate.ports.clock import Clock
from playerstate.ports.stream import Checkpoints
from playerstate.runtime.retention import DAY_MS, LOOK_EVERY_S, Rule
from playerstate.settings import Retention

RUN_S_MAX = 5.0
"""How long one rule goes on before the others have their turn."""
PAUSE_S_MAX = 1.0
CATCH_UP = 25
"""How many times as fast as time passes the retention clock follows one that was set: a day takes an hour."""
SURELY_WRONG_MS = 1_600_000_000_000
"""A clock that is earlier than this, in 2020, has not been set at all: this program is younger."""

log = structlog.get_logger(__name__)


class RetentionClock:
    """A clock that retention goes by. It never runs ahead of the wall clock, and does not jump with it.

    A wall clock that jumps ahead would make everything old at once. So what is *believed* goes on from where it was
    when it was looked at last, also in a process before this one, and follows no faster than `CATCH_UP` times the time
    that has passed: whoever sets a clock wrong has hours to set it right. It follows one that is behind no faster
    either, or a moment in which a machine had no idea of the time would have to be caught up with for years.
    `monotonic` is in seconds.
    """

    def __init__(
        self, clock: Clock, checkpoints: Checkpoints, name: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._checkpoints = checkpoints
        self._name = f"retention-clock:{name}"
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._warned = False

    def now_ms(self) -> int:
        """The time to go by, in milliseconds since 1970: what is believed, or the wall clock's where that is behind."""
        wall, looked_at = self._clock.now_ms(), self._monotonic()
        if wall < SURELY_WRONG_MS:
            return wall
        step = int((looked_at - self._looked_at) * 1000 * CATCH_UP)
        self._looked_at = looked_at
        before = self._checkpoints.load(self._name) or wall
        believed = min(max(wall, before - step), before + step)
        self._checkpoints.save(self._name, believed)
        far_ahead = wall - believed > DAY_MS
        if far_ahead and not self._warned:
            log.warning(
                "the clock is far ahead of what was seen of it; retention follows slowly",
                days=(wall - believed) / DAY_MS,
            )
        self._warned = far_ahead
        return min(wall, believed)


class Retainer:
    """Runs rules in a thread, from `start` to `stop`. They go by what is `believed`; `clock` says when they ran."""

    def __init__(self, rules: Sequence[Rule], settings: Callable[[], Retention], clock: Clock, believed: Clock) -> None:
        self._rules = rules
        self._settings = settings
        self._clock = clock
        self._believed = believed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="playerstate-retention", daemon=True)
        self.stats = {rule.name: RetentionStats() for rule in rules}
        self._ran_at_s = dict.fromkeys(self.stats, time.monotonic())

    def start(self) -> None:
        """Begin, if there is anything to enforce."""
        if self._rules:
            self._thread.start()

    def stop(self) -> None:
        """Finish the batch that is under way, and no other."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Run every rule once, until it has nothing more to delete or the others should have their turn."""
        now = self._believed.now_ms()
        for rule in self._rules:
            stats = self.stats[rule.name]
            try:
                self._run_rule(rule, stats, now)
            except PlayerStateError as exc:
                stats.last_error = described(exc)
                log.warning("retention tries again", rule=rule.name, error=described(exc))
            except Exception as exc:
                stats.last_error = repr(exc)
                log.exception("retention met a fault; it tries again", rule=rule.name)
            else:
                stats.last_error = ""
                stats.last_run_at = self._clock.now_ms()
                self._ran_at_s[rule.name] = time.monotonic()

    def idle_s(self, rule: str) -> float:
        """How long ago a rule was last enforced."""
        return time.monotonic() - self._ran_at_s[rule]

    def _run_rule(self, rule: Rule, stats: RetentionStats, now: int) -> None:
        started = time.monotonic()
        more = True
        while more and time.monotonic() - started < RUN_S_MAX and not self._stopping.is_set():
            begun = time.thread_time()
            deleted, more = rule.run(self._settings(), now)
            stats.deleted += deleted
            if more:
                self._stopping.wait(min(time.thread_time() - begun, PAUSE_S_MAX))

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("retention met a fault; it tries again")
