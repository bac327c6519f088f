"""Continuous verification: every change soon after it was made, random samples, and a slow walk through everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random

import structlog

from playerstate.core.answers import StageStats, VerificationStats
from playerstate.core.findings import CACHE, STORE
from playerstate.core.model import Stage
from playerstate.core.rechecks import Check, Rechecks
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import read_row_head
from playerstate.errors import InvariantViolated, NotNow, PlayerStateError
from playerstate.ports.clock import Clock
from playerstate.ports.store import Change
from playerstate.runtime.consumers import Report
from playerstate.settings import Settings
from playerstate.settings import Verification as VerificationSettings
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.verify import Verified
from playerstate.stages.walk import Walk

CHANGES_MAX = 500
CHANGES_PER_S_MAX = 5_000
"""How many changes are looked up; of more, the rest are let go, and counted."""
BEHIND_MAX = 5_000
"""How many changes may wait to be taken in before some are let go."""
PLAYERS_AT_ONCE = 20
SUSPECTS_AT_ONCE = 100
SWEEP_KEYS = 100
WALK_AGAIN_MS = 1_000
"""How long a walk waits for a part that does not answer."""

log = structlog.get_logger(__name__)


def monotonic_ms() -> int:
    """Time that only ever grows."""
    return time.monotonic_ns() // 1_000_000


class VerifyConsumer:
    """Drives `Inquiry` and `Rechecks`. What it does at once is bounded, so that its thread never holds others up long.

    `parts` are what is compared. `now_ms` is a time that only ever grows, `cpu_s` this thread's processor time.
    """

    name: Stage = "verify"
    linger_s = 0.0
    batch_max = CHANGES_MAX

    def __init__(
        self,
        parts: Verified,
        inquiry: Inquiry,
        clock: Clock,
        settings: Callable[[], Settings],
        *,
        random: Random | None = None,
        now_ms: Callable[[], int] = monotonic_ms,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self.stats = StageStats()
        self.rechecks = Rechecks()
        self.inquiry = inquiry
        self._parts = parts
        self._walk = Walk(parts)
        self._clock = clock
        self._settings = settings
        self._random = random or Random()  # noqa: S311 - samples
        self._now_ms = now_ms
        self._cpu_s = cpu_s
        self._position: int | None = None
        self._skipped = 0
        self._allowed, self._allowed_at = float(CHANGES_MAX), now_ms()
        self._sample_at = self._sweep_at = now_ms()
        self._cursor, self._sweep_began_at = "", now_ms()
        self._sweep_keys = self._sweeps = 0
        self._sweep_s = 0.0

    def step(self) -> int:
        """Do what is due; how many changes were taken in, if there may be more."""
        settings = self._settings().verification
        if not settings.enabled:
            self._position = None
            return 0
        taken = self._take_changes()
        self._recheck()
        self._look(self.inquiry.suspicions.due(self._now_ms(), SUSPECTS_AT_ONCE))
        if self._now_ms() >= self._sample_at:
            self._sample_at = self._now_ms() + int(settings.sample_every_s * 1000)
            self._look(self._sample(settings.sample_keys))
        if settings.sweep_share and self._now_ms() >= self._sweep_at:
            self._sweep(settings)
        return taken if taken == CHANGES_MAX else 0

    def tell(self, report: Report) -> None:
        """All figures of verification."""
        inquiry, rechecks = self.inquiry, self.rechecks
        report.verification = VerificationStats(
            changes_checked=rechecks.checked,
            changes_judged={str(age_s): n for age_s, n in rechecks.judged.items()},
            right_within_s={str(age_s): n for age_s, n in rechecks.right.items()},
            misses=rechecks.misses,
            shed=rechecks.shed + self._skipped + inquiry.suspicions.shed,
            waiting=rechecks.waiting,
            keys_compared=dict(inquiry.compared),
            findings=dict(inquiry.found),
            repairs=dict(inquiry.repaired),
            not_checked=dict(inquiry.not_checked),
            suspects=inquiry.suspicions.waiting,
            open=inquiry.suspicions.open,
            sweep_keys=self._sweep_keys,
            sweeps=self._sweeps,
            sweep_s=self._sweep_s,
        )

    def _take_changes(self) -> int:
        """Take in the next changes, as many as may be; those beyond that, or that are gone already, are let go."""
        head = self._parts.changes.head()
        if self._position is None:
            self._position = min(self._parts.checkpoints.load("project"), head)  # others have still to see the rest
        elif self._position > head:  # another file
            self._position = head
        if head - self._position > BEHIND_MAX:
            self._skipped += head - self._position - BEHIND_MAX
            self._position = head - BEHIND_MAX
        changes = self._parts.changes.read(self._position, CHANGES_MAX) if head > self._position else []
        if changes:
            self._skipped += changes[0].position - self._position - 1
            self._position = changes[-1].position
            self.rechecks.take(self._checks(changes))
            self.stats.processed += len(changes)
        return len(changes)

    def _recheck(self) -> None:
        try:
            suspicious = self.rechecks.look(self._now_ms(), CHANGES_MAX, self._parts.cache.versions)
        except NotNow:
            self.inquiry.not_checked[f"{CACHE} does not answer"] += 1
        else:
            self._look(dict.fromkeys([key.player_id for key in suspicious]))

    def _checks(self, changes: Sequence[Change]) -> list[Check]:
        now = self._now_ms()
        self._allowed = min(self._allowed + (now - self._allowed_at) * CHANGES_PER_S_MAX / 1000, CHANGES_PER_S_MAX)
        self._allowed_at = now
        wall = self._clock.now_ms()
        checks = []
        names = self.inquiry.state_keys
        known = [change for change in changes if change.key.state_key in names]
        for change in known[: int(self._allowed)]:
            try:
                head = read_row_head(change.new)
            except InvariantViolated:  # the stages that need it stop, and say so
                continue
            # taken in late, it has been there for a while; by how much, a clock that jumps does not say beyond a second
            since = now - min(max(wall - head.written_at, 0), 1_000)
            checks.append(Check(since, change.key, format_vector(head.vector)))
        self._allowed -= len(checks)
        self._skipped += len(known) - len(checks)
        return sorted(checks)

    def _sample(self, keys: int) -> list[str]:
        sample = self._walk.sample(keys, self._random)
        self.inquiry.not_checked.update(f"{place} does not answer" for place in sample.silent)
        return sample.players

    def _sweep(self, settings: VerificationSettings) -> None:
        """Walk on through everything, and then leave it alone for as long as its share of the time asks for."""
        began, cpu_began_s = self._now_ms(), self._cpu_s()
        try:
            page = self._walk.page(self._cursor, SWEEP_KEYS)
        except NotNow:
            self.inquiry.not_checked[f"{self._cursor.partition(':')[0] or STORE} does not answer"] += 1
            self._sweep_at = began + WALK_AGAIN_MS
            return
        self._look(dict.fromkeys(page.players))
        self._cursor = page.cursor
        self._sweep_keys += page.keys
        ended = self._now_ms()
        # on a busy machine most of the time is others'; what the graph and the cache server do for it is not counted
        spent_ms = max((self._cpu_s() - cpu_began_s) * 1000, (ended - began) / 4, 1)
        self._sweep_at = ended + int(spent_ms * (1 / settings.sweep_share - 1))
        if not page.cursor:
            self._sweeps += 1
            self._sweep_s = (ended - self._sweep_began_at) / 1000
            self._sweep_keys, self._sweep_began_at = 0, ended

    def _look(self, players: Sequence[str] | dict[str, None]) -> None:
        some = list(players)
        for start in range(0, len(some), PLAYERS_AT_ONCE):
            part = some[start : start + PLAYERS_AT_ONCE]
            if not self._could_look(part) and len(part) > 1:
                for player_id in part:
                    self._could_look([player_id])

    def _could_look(self, players: Sequence[str]) -> bool:
        """Look at players. Something that nobody thought of may lie at one, and nobody else has to wait for that."""
        try:
            self.inquiry.look(players, self._now_ms())
        except PlayerStateError:
            raise
        except Exception as exc:
            log.exception("players could not be compared", count=len(players))
            if len(players) == 1:
                self.inquiry.not_checked[f"a player could not be compared ({type(exc).__name__})"] += 1
            return False
        return True
