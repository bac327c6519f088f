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
from playerstate.core.findings import OPEN, Finding, Repair, finding_id, printable
from playerstate.core.model import Key
from playerstate.core.suspicions import Noted, Suspect, Suspicions, kind_when_confirmed
from playerstate.errors import InvariantViolated, NotNow, OutcomeUnknown
from playerstate.ports.clock import Clock
from playerstate.ports.findings import Findings
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Look, Verify

UNRECORDED_MAX = 1_000
"""How many findings are held back while they cannot be recorded."""
RESUMED_FROM_MAX = 10_000
"""Among how many of the latest findings those are looked for that were left open when a process ended."""
RESUMED_AT_ONCE = 1_000

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
        self._resumed = False

    @property
    def state_keys(self) -> Collection[str]:
        """The keys that can be looked at."""
        return self._verify.state_keys

    def look(self, players: Sequence[str], now: int, silent: Collection[str] = ()) -> tuple[Look, list[Finding]]:
        """Look at players, at a time in ms that only ever grows; what was seen, and what is found by now.

        What is found is on record before anything is put right: a repair nobody can explain would be a riddle of its
        own. Places that are known to be `silent` are not asked. Raises `NotNow` if the store does not answer.
        """
        self.resume(now)
        look = self._verify.look(players, silent)
        self.compared.update(look.compared)
        self.not_checked.update(look.not_checked)
        noted = self.suspicions.note(players, look.compared, look.differences, look.ways, now, look.away)
        new = [suspect for suspect in noted.confirmed if suspect.finding is None]
        due = [(suspect, suspect.finding or self._confirm(suspect, now)) for suspect in noted.confirmed]
        self._record([*self._gone(noted), *(finding for suspect, finding in due if suspect in new)])
        found: list[Finding] = []
        try:
            for suspect, finding in due:
                found.append(self._put_right(suspect, finding, now, is_new=suspect in new))
        finally:
            for suspect, finding in due[len(found) :]:  # an error has ended it: those stay open, and are tried again
                self.suspicions.settle(suspect, finding, now, open_=True)
            self._record([after for after, (_, before) in zip(found, due, strict=False) if after != before])
        return look, found

    def resume(self, now: int) -> None:
        """Go on, once, with the findings that were open when the process before this one ended: the latest of them."""
        if self._resumed or self._findings is None:
            return
        before, read = None, 0
        try:
            while read < RESUMED_FROM_MAX and (page := self._findings.list(before=before, limit=RESUMED_AT_ONCE)):
                before, read = page[-1].finding_id, read + len(page)
                for finding in page:
                    if finding.region == self._region and finding.repair in OPEN:
                        self.suspicions.resume(finding, now)
        except NotNow:
            return  # it is tried again; what was taken up is not taken up twice
        except InvariantViolated as exc:
            log.warning("what was found before cannot be read", error=str(exc))
        self._resumed = True

    def _confirm(self, suspect: Suspect, now: int) -> Finding:
        """A new finding, of which nobody knows yet what becomes of it."""
        at = self._clock.now_ms()
        finding = self._finding(suspect.difference, at, at - (now - suspect.first_seen_at))
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
        return finding

    def _put_right(self, suspect: Suspect, finding: Finding, now: int, *, is_new: bool) -> Finding:
        """Put right what is certain, for the first time or once again."""
        difference = suspect.difference
        repair, why = (
            self._repairs.repair(difference) if self._repairs_wanted() else (Repair.LEFT, "it is switched off")
        )
        if is_new or finding.repair is not repair:
            self.repaired[repair] += 1
        open_ = repair in OPEN
        detail = f"{difference.detail}; {why}".strip("; ")
        at = 0 if open_ else self._clock.now_ms()
        finding = structs.replace(finding, detail=detail, repair=repair, repaired_at=at)
        self.suspicions.settle(suspect, finding, now, open_=open_)
        return finding

    def _finding(self, difference: Difference, at: int, first_seen_at: int) -> Finding:
        place, kind = difference.place, kind_when_confirmed(difference)
        key = Key(difference.key.player_id, printable(difference.key.state_key))
        versions = difference.expected, printable(difference.found)
        name = finding_id(at, place, key)
        return Finding(name, self._region, place, kind, *key, *versions, first_seen_at, at, difference.detail)

    def _gone(self, noted: Noted) -> list[Finding]:
        """Open findings of which nothing is left to be seen, but for those that somebody else has settled."""
        self.repaired[Repair.GONE] += len(noted.gone)
        now = self._clock.now_ms()
        open_ = [finding for finding in noted.gone if self._is_open(finding)]
        return [structs.replace(finding, repair=Repair.GONE, repaired_at=now) for finding in open_]

    def _is_open(self, finding: Finding) -> bool:
        """Whether its record is open: one who was asked to verify may have put it right, and an erasure takes it away.

        What cannot be read counts as open, and so does what waits to be recorded.
        """
        if self._findings is None or finding.finding_id in self._unrecorded:
            return True
        try:
            latest = self._findings.list(finding.player_id, before=finding.finding_id + "~", limit=1)
        except (NotNow, InvariantViolated):
            return True
        return any(one.finding_id == finding.finding_id and one.repair in OPEN for one in latest)

    def _record(self, findings: Sequence[Finding]) -> None:
        """Record what is new, with what could not be recorded before. A damaged file of findings ends nothing else."""
        self._unrecorded.update({finding.finding_id: finding for finding in findings})
        if not self._unrecorded or self._findings is None:
            return
        try:
            self._findings.put(list(self._unrecorded.values()))
        except (NotNow, OutcomeUnknown, InvariantViolated) as exc:
            if findings:  # and not at every look for as long as it lasts
                log.warning("findings cannot be recorded now", waiting=len(self._unrecorded), error=str(exc))
            kept = dict(list(self._unrecorded.items())[-UNRECORDED_MAX:])
            self.not_checked["findings that were not recorded"] += len(self._unrecorded) - len(kept)
            self._unrecorded = kept
        else:
            self._unrecorded = {}
