"""Retention of what lies in the control table: dead letters, the record of those that have gone, and findings.

On a node `runtime.retention` does this all the time; here it is a step of a function that is called every minute.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from playerstate.core.findings import FINDINGS_MAX
from playerstate.core.letters import GONE_LETTERS_MAX, LETTERS_MAX
from playerstate.core.producers import RETENTION_MS
from playerstate.errors import PlayerStateError, described
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.findings import Findings
from playerstate.settings import Retention

LETTERS_AT_ONCE = 100
"""How many letters, and how many records, go in a step: 144,000 a day at one a minute."""

COUNT_FINDINGS_EVERY_MS = 3_600_000
"""Findings are counted by reading all of them."""

DAY_MS = 86_400_000

log = structlog.get_logger(__name__)


class Tidying:
    """One step of retention at each call, bounded as far as letters go; findings are few, so that all go at once.

    What fails is logged, and tried again with the next call; it stops neither the rest of the step nor the caller.
    """

    def __init__(
        self, dead_letters: DeadLetters, findings: Findings, clock: Clock, retention: Retention | None = None
    ) -> None:
        self._dead_letters = dead_letters
        self._findings = findings
        self._clock = clock
        self._retention = retention or Retention()
        self._count_findings_at = 0

    def __call__(self) -> dict[str, int]:
        """Let go of what is too old or too much; how much went, by rule, without those that failed."""
        rules = {
            "dead_letters": self._letters,
            "gone_letters": self._gone_letters,
            "findings": self._old_findings,
            "findings_count": self._too_many_findings,
        }
        now = self._clock.now_ms()
        return {name: went for name, rule in rules.items() if (went := _tried(name, rule, now)) is not None}

    def _letters(self, now: int) -> int:
        before = now - int(self._retention.dead_letters_days * DAY_MS)
        expired = self._dead_letters.expire(before, LETTERS_MAX, at=now, limit=LETTERS_AT_ONCE)
        if expired:
            log.warning("dead letters have expired", letters=expired)
        return expired

    def _gone_letters(self, now: int) -> int:
        """The records are kept as long as letters, and as long as rows remember producers."""
        before = now - max(int(self._retention.dead_letters_days * DAY_MS), RETENTION_MS)
        return self._dead_letters.forget(before, GONE_LETTERS_MAX, limit=LETTERS_AT_ONCE)

    def _old_findings(self, now: int) -> int:
        return self._findings.trim(now - int(self._retention.findings_days * DAY_MS))

    def _too_many_findings(self, now: int) -> int:
        if now < self._count_findings_at:
            return 0
        went = self._findings.bound(FINDINGS_MAX)
        self._count_findings_at = now + COUNT_FINDINGS_EVERY_MS
        return went


def _tried(name: str, rule: Callable[[int], int], now: int) -> int | None:
    try:
        return rule(now)
    except PlayerStateError as exc:
        log.warning("retention tries again", rule=name, error=described(exc))
    except Exception:
        log.exception("retention met a fault; it tries again", rule=name)
    return None
