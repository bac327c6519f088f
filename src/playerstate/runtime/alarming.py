"""Looks after a node's alarms: judges its figures about once a second, and logs what fires and what has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from playerstate.core.alarms import Judge
from playerstate.core.answers import Alarm, Stats
from playerstate.core.looks import Looks
from playerstate.errors import PlayerStateError, described
from playerstate.ports.clock import Clock

LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class Alarming:
    """The alarms of one node. `look` is for one thread alone; `current` may be called by any."""

    def __init__(self, stats: Callable[[], Stats], thresholds: Callable[[], Mapping[str, float]], clock: Clock) -> None:
        self._stats = stats
        self._thresholds = thresholds
        self._clock = clock
        self._looks = Looks()
        self._judge = Judge()
        self._next_s = 0.0
        self._current: list[Alarm] = []

    def current(self) -> list[Alarm]:
        """Those that fire, as of the last look."""
        return self._current

    def look(self) -> None:
        """Look, unless it was done a moment ago."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_EVERY_S
        try:
            stats = self._stats()
        except PlayerStateError as exc:
            log.warning("the alarms could not be judged", error=described(exc))
            return
        seen = self._looks.add(stats, now_s)
        before, self._current = self._current, self._judge.judge(seen, self._thresholds(), at_ms=self._clock.now_ms())
        _tell(stats.region, before, self._current)


def _tell(region: str, before: Sequence[Alarm], now: Sequence[Alarm]) -> None:
    fired = {(alarm.name, alarm.subject): alarm for alarm in now}
    stood = {(alarm.name, alarm.subject): alarm for alarm in before}
    for which in fired.keys() - stood.keys():
        alarm = fired[which]
        log.warning(
            "an alarm fires",
            alarm=alarm.name,
            subject=alarm.subject,
            region=region,
            severity=alarm.severity.value,
            value=alarm.value,
            threshold=alarm.threshold,
            message=alarm.message,
        )
    for which in stood.keys() - fired.keys():
        log.info("an alarm has ended", alarm=which[0], subject=which[1], region=region)
