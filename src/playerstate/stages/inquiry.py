"""Inquiry: looks at players -> findings, put right and recorded.

    players -> Verify -> differences -> Suspicions -> confirmed -> Repairs -> findings

It may be asked about any players at any time; what is not confirmed yet it names, to be looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import structlog
from msgspec import structs

from playerstate.core.comparison import Difference
from playerstate.core.findings import Finding, Repair, finding_id, printable
from playerstate.core.model import Key
from playerstate.core.suspicions import Noted, Suspect, Suspicions, kind_when_confirmed
from playerstate.errors import NotNow, OutcomeUnknown
from playerstate.ports.clock import Clock
from playerstate.ports.findings import Findings
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Look, Verify

UNRECORDED_MAX = 1_000
"""How many findings are held back while they cannot be recorded."""

log = structlog.get_logger(__name__)


class Inquiry:
    """Keeps the suspects of one region, and the account of what came of them.

    `repairs_wanted` says whether what is found is to be put right. The counters are since the beginning: keys compared
    by place, reasons why keys were not, findings by `place:kind`, and what became of them. Without `findings` nothing
    is recorded.
    """

    def __init__(
        self,
        region: str,
        verify: Verify,
        repairs: Repairs,
        findings: Findings | None,
        clock: Clock,
        suspicions: Suspicions,
        *,
        repairs_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.suspicions = suspicions
        self.compared: Counter[str] = Counter()
        self.not_checked: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self._region = region
        self._verify = verify
        self._repairs = repairs
        self._findings = findings
        self._clock = clock
        self._repairs_wanted = repairs_wanted
        self._unrecorded: dict[str, Finding] = {}

    @property
    def state_keys(self) -> Collection[str]:
        """The keys that can be looked at."""
        return self._verify.state_keys

    def look(self, players: Sequence[str], now: int) -> tuple[Look, list[Finding]]:
        """Look at players, at a time in ms that only ever grows; what was seen, and what is found by now.

        Raises `NotNow` if the store does not answer.
        """
        look = self._verify.look(players)
        self.compared.update(look.compared)
        self.not_checked.update(look.not_checked)
        noted = self.suspicions.note(players, look.compared, look.differences, look.ways, now, look.away)
        found = [self._confirm(suspect, now) for suspect in noted.confirmed]
        self._record([*found, *self._gone(noted)])
        return look, found

    def _confirm(self, suspect: Suspect, now: int) -> Finding:
        """Put right what is certain, for the first time or once again."""
        difference, earlier, at = suspect.difference, suspect.finding, self._clock.now_ms()
        finding = earlier or self._finding(difference, at, at - (now - suspect.first_seen_at))
        if earlier is None:
            self.found[f"{finding.place}:{finding.kind}"] += 1
            log.warning(
                "a finding",
                finding=finding.finding_id,
                place=finding.place,
                kind=finding.kind,
                state_key=finding.state_key,
                expected=finding.expected,
                found=finding.found,
            )
        repair, why = (
            self._repairs.repair(difference) if self._repairs_wanted() else (Repair.LEFT, "it is switched off")
        )
        if earlier is None or earlier.repair is not repair:
            self.repaired[repair] += 1
        open_ = repair in (Repair.LEFT, Repair.FAILED)
        detail = f"{difference.detail}; {why}".strip("; ")
        at = 0 if open_ else self._clock.now_ms()
        finding = structs.replace(finding, detail=detail, repair=repair, repaired_at=at)
        self.suspicions.settle(suspect, finding, now, open_=open_)
        return finding

    def _finding(self, difference: Difference, at: int, first_seen_at: int) -> Finding:
        place, kind = difference.place, kind_when_confirmed(difference)
        key = Key(difference.key.player_id, printable(difference.key.state_key))
        versions = difference.expected, printable(difference.found)
        return Finding(finding_id(at, place, key), self._region, place, kind, *key, *versions, first_seen_at, at)

    def _gone(self, noted: Noted) -> list[Finding]:
        """Open findings of which nothing is left to be seen."""
        self.repaired[Repair.GONE] += len(noted.gone)
        now = self._clock.now_ms()
        return [structs.replace(finding, repair=Repair.GONE, repaired_at=now) for finding in noted.gone]

    def _record(self, findings: Sequence[Finding]) -> None:
        """Record what is new, with what could not be recorded before."""
        self._unrecorded.update({finding.finding_id: finding for finding in findings})
        if not self._unrecorded or self._findings is None:
            return
        try:
            self._findings.put(list(self._unrecorded.values()))
        except (NotNow, OutcomeUnknown) as exc:
            log.warning("findings cannot be recorded now", waiting=len(self._unrecorded), error=str(exc))
            kept = dict(list(self._unrecorded.items())[-UNRECORDED_MAX:])
            self.not_checked["findings that were not recorded"] += len(self._unrecorded) - len(kept)
            self._unrecorded = kept
        else:
            self._unrecorded = {}
