"""What a node looked like lately: how counts have risen, and for how long nothing has moved."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from playerstate.core.answers import Stats, VerificationStats

KEPT_S = 600.0
KEPT_EVERY_S = 5.0
"""Looks are kept this far apart, so that 10 minutes of them are some 120."""
FAILING_PAUSE_MAX_S = 30.0
"""Failures further apart than this are not one run of them: a stage that fails tries again within 5 s, or when the
message that it failed on comes again, after 20 s."""

MAY_WAIT = frozenset(("replicate", "resolve", "verify"))
"""Stages of which something may wait without their being stuck: a way may be cut, a conflict is left alone at first, a
change is looked at when it is old enough."""


class Seen(NamedTuple):
    """A look at a node, and what has become of it lately.

    `minute_ago` and `ten_minutes_ago` are the earliest looks within these times, and the very first in the beginning.
    `stuck_s` says of stages for which something waits how long they have processed nothing, `failing_s` of those that
    fail how long they have; `way_stuck_s` of regions whose changes wait how long these have not become fewer.
    `unverified_s` is how long verification, if it ever ran, has done nothing, `untrimmed_s` how long each rule of
    retention has not been enforced.
    """

    at_s: float
    now: Stats
    minute_ago: Stats
    ten_minutes_ago: Stats
    stuck_s: dict[str, float]
    failing_s: dict[str, float]
    way_stuck_s: dict[str, float]
    unverified_s: float | None
    untrimmed_s: dict[str, float]

    def risen_in_1_min(self, count: Callable[[Stats], float]) -> float:
        """By how much a count has risen."""
        return _risen(count(self.minute_ago), count(self.now))

    def risen_in_10_min(self, count: Callable[[Stats], float]) -> float:
        """By how much a count has risen."""
        return _risen(count(self.ten_minutes_ago), count(self.now))

    @property
    def more_letters_in_10_min(self) -> float:
        """How many more dead letters there are; those that have been sent again or removed are not counted."""
        return max(self.now.dead_letters - self.ten_minutes_ago.dead_letters, 0)


def _risen(before: float, now: float) -> float:
    """A count that has fallen has begun anew, with its process."""
    return now - before if now >= before else now


class Looks:
    """Looks at a node, one after the other."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Stats]] = deque()
        self._last: Stats | None = None
        self._moved: dict[tuple[str, str], float] = {}
        self._failing: dict[str, tuple[float, float]] = {}
        """Of stages that fail: since when, and when last."""

    def add(self, stats: Stats, at_s: float) -> Seen:
        """A look at a time that never goes back. The figures are the caller's to change afterwards."""
        stats = copy.deepcopy(stats)
        if not self._kept or at_s >= self._kept[-1][0] + KEPT_EVERY_S:
            self._kept.append((at_s, stats))
        while self._kept[0][0] < at_s - KEPT_S:
            self._kept.popleft()
        before, self._last = self._last or stats, stats
        stuck = {
            name: self._still_for(
                "stage", name, at_s, moved=not stage.lag or _processed(before, name) != stage.processed
            )
            for name, stage in stats.stages.items()
            if name not in MAY_WAIT
        }
        ways = {
            source: self._still_for("way", source, at_s, moved=not waits or waits < before.links.get(source, waits))
            for source, waits in stats.links.items()
        }
        untrimmed = {
            rule: self._still_for("rule", rule, at_s, moved=ran.last_run_at not in (0, _enforced_at(before, rule)))
            for rule, ran in stats.retention.items()
        }
        idle = self._still_for("", "verification", at_s, moved=before.verification != stats.verification)
        verifies = stats.verification != VerificationStats()
        return Seen(
            at_s,
            stats,
            self._earliest(at_s - 60.0),
            self._kept[0][1],
            stuck,
            self._failing_for(before, stats, at_s),
            ways,
            idle if verifies else None,
            untrimmed,
        )

    def _earliest(self, since_s: float) -> Stats:
        """The first of the looks since then; one of the last few seconds is always kept."""
        return next(stats for at_s, stats in self._kept if at_s >= since_s)

    def _still_for(self, kind: str, name: str, at_s: float, *, moved: bool) -> float:
        """How long something has not moved."""
        if moved or (kind, name) not in self._moved:
            self._moved[kind, name] = at_s
        return at_s - self._moved[kind, name]

    def _failing_for(self, before: Stats, now: Stats, at_s: float) -> dict[str, float]:
        for name, stage in now.stages.items():
            failed = name in before.stages and stage.failures > before.stages[name].failures
            since_s, last_s = self._failing.get(name, (at_s, at_s))
            if failed:
                self._failing[name] = since_s, at_s
            elif at_s - last_s > FAILING_PAUSE_MAX_S:
                self._failing.pop(name, None)
        return {name: last_s - since_s for name, (since_s, last_s) in self._failing.items()}


def _processed(stats: Stats, stage: str) -> int | None:
    return stats.stages[stage].processed if stage in stats.stages else None


def _enforced_at(stats: Stats, rule: str) -> int:
    return stats.retention[rule].last_run_at if rule in stats.retention else 0
