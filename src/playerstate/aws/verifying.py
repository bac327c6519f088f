"""Step Functions -> verify: one check of a run, which says whether there is to be another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from playerstate.aws import settings as s
from playerstate.aws.meter import Meter
from playerstate.aws.tidying import Tidying
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import FINDINGS, KEYS_COMPARED, NOT_CHECKED, REPAIRS
from playerstate.core.findings import OPEN, Finding
from playerstate.core.lookups import PER_MESSAGE_MAX, Lookup, encode_lookup, lagging
from playerstate.errors import NotNow, PlayerStateError, described
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Queue
from playerstate.stages.recheck import STUCK_AFTER_S, open_findings
from playerstate.stages.verify_once import VerifyOnce

RUN_MAX_S = 55
"""A run is begun every minute; one that takes longer ends early rather than overlap for long."""
FIRST_LOOK_AGAIN_S = 60

log = structlog.get_logger(__name__)


class Verifying:
    """The function. The state of a run is what it returns, and gets back with the next call:

    `{"check": 1, "began_at": 1795738522000, "again": true, ...}`. Anything else begins a run, such as the schedule's
    event. What lags, or could not be put right, is handed to `rechecks`, to be looked at again; what cannot be compared
    is counted and said. Each run begins with `tidy`, which lets go of what is too old.
    """

    def __init__(
        self,
        verify_once: VerifyOnce,
        rechecks: Queue | None,
        clock: Clock,
        meter: Meter,
        *,
        sample_keys: int,
        checks_max: int,
        tidy: Callable[[], object] = lambda: None,
    ) -> None:
        self._verify_once = verify_once
        self._rechecks = rechecks
        self._clock = clock
        self._meter = meter
        self._sample_keys = sample_keys
        self._checks_max = checks_max
        self._tidy = tidy

    def __call__(self, event: object) -> dict[str, Any]:
        """Make the next check of a run."""
        now = self._clock.now_ms()
        check, began_at = _state(event, now)
        if check == 0:
            self._tidy()
        told: dict[str, Any] = {"keys": 0, "findings": 0, "not_checked": {}}
        try:
            compared, late = self._verify_once.sampled(self._sample_keys, repair=True)
            new = [finding for finding in compared.findings if finding.found_at >= now]
            open_ = open_findings(new)
            bodies = [encode_lookup(lookup) for lookup in lagging(late, now)]
            parts = [open_[start : start + PER_MESSAGE_MAX] for start in range(0, len(open_), PER_MESSAGE_MAX)]
            bodies += [encode_lookup(Lookup(differences=part)) for part in parts]
            if bodies and self._rechecks is not None:
                self._rechecks.send(bodies, delay_s=FIRST_LOOK_AGAIN_S)
        except PlayerStateError as exc:
            if not isinstance(exc, NotNow):
                log.exception("verification has failed")
            told["not_checked"] = {described(exc): 1}
            self._meter.count(NOT_CHECKED, self._sample_keys)
        else:
            told |= {"keys": compared.keys, "findings": len(new), "not_checked": compared.not_checked}
            tell_findings(self._meter, compared.findings, now)
            for place, keys in compared.compared.items():
                self._meter.count(KEYS_COMPARED, keys, place)
            self._meter.count(NOT_CHECKED, sum(compared.not_checked.values()))
        has_time = self._clock.now_ms() - began_at < RUN_MAX_S * 1000
        again = check + 1 < self._checks_max and has_time
        return {"check": check + 1, "began_at": began_at, "again": again, **told}


def verifying(wiring: Wiring, meter: Meter) -> Verifying:
    """Wire the function."""
    return Verifying(
        wiring.verify_once(stuck_after_s=STUCK_AFTER_S),
        wiring.queue_if_any(s.RECHECK_QUEUE_URL),
        wiring.clock,
        meter,
        sample_keys=wiring.environment.number(s.SAMPLE_SIZE),
        checks_max=wiring.environment.number(s.CHECKS),
        tidy=Tidying(wiring.dead_letters, wiring.findings, wiring.clock),
    )


def tell_findings(meter: Meter, findings: list[Finding], began_at: int) -> None:
    """Findings of a call by place and kind, and what became of them. Earlier ones count where that is new."""
    new = [finding for finding in findings if finding.found_at >= began_at]
    for (place, kind), count in Counter((finding.place, str(finding.kind)) for finding in new).items():
        meter.count(FINDINGS, count, place, kind)
    settled = [finding for finding in findings if finding.found_at >= began_at or finding.repair not in OPEN]
    for repair, count in Counter(str(finding.repair) for finding in settled).items():
        meter.count(REPAIRS, count, repair)


def _state(event: object, now: int) -> tuple[int, int]:
    """Which check this is, counted from 0, and when the run began."""
    if not isinstance(event, Mapping):
        return 0, now
    check, began_at = event.get("check"), event.get("began_at")
    if type(check) is not int or type(began_at) is not int or check < 0 or not 0 < began_at <= now:
        return 0, now
    return check, began_at
