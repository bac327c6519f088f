"""Recheck: messages about what has to be seen by now -> the cache, and where it is not, a closer look.

    lookups -> [look up in the cache at 1, 5, 60 and 300 s] -> later lookups
                     |
                     +-> at the last age, and of what was seen to differ: look again -> findings, repairs

It is what `VerifyConsumer` does in a process that lives on, for functions that do not. What is late as a whole, because
the way to it is, is put off and no finding: `behind` says whether it is, and by what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, Finding, Kind
from playerstate.core.lookups import Lookup, Seen, Shown, delay_s, encode_lookup, judge
from playerstate.core.rechecks import AGES_S
from playerstate.ports.cache import Cache
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Queue
from playerstate.stages.verify_once import Remembered, VerifyOnce

STUCK_AFTER_S = AGES_S[-1]
"""For how long something may have the same older version before it is not lag any more."""
PUT_OFF_S = 300
PUT_OFF_MAX = 288
"""How often a look is put off: for a day. Then it is let go, and counted."""
LAGGING_LOOK_S = 60


class Rechecked:
    """What looks came to. Figures by age are as in `Rechecks`, the others as in `Inquiry`."""

    def __init__(self) -> None:
        self.checked = 0
        self.misses = 0
        self.judged: Counter[int] = Counter()
        self.right: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.not_checked: Counter[str] = Counter()


class Recheck:
    """The stage, in one region. `queue` is its own, and holds messages back."""

    def __init__(
        self,
        cache: Cache,
        queue: Queue,
        verify_once: VerifyOnce,
        clock: Clock,
        *,
        behind: Callable[[int], str] = lambda _: "",
    ) -> None:
        self.done = Rechecked()
        self._cache = cache
        self._queue = queue
        self._verify_once = verify_once
        self._clock = clock
        self._behind = behind

    def handle(self, lookups: Sequence[Lookup]) -> int:
        """Do what messages ask for; returns how many changes and differences they had. Raises `NotNow`."""
        for lookup in lookups:
            if lookup.changes:
                self._look_up(lookup)
            if lookup.differences:
                self._look_again(lookup)
        return sum(len(lookup.changes) + len(lookup.differences) for lookup in lookups)

    def _look_up(self, lookup: Lookup) -> None:
        judged = judge(lookup.changes, lookup.age, self._cache.versions)
        self.done.checked += len(lookup.changes) if lookup.age == 0 else 0
        self.done.misses += judged.misses
        self.done.judged.update(judged.judged)
        self.done.right.update(judged.right)
        if not judged.late:
            return
        if lookup.age + 1 < len(AGES_S):
            later = Lookup(lookup.age + 1, judged.late)
            delay = delay_s(later.age, [change.since for change in judged.late], self._clock.now_ms())
            self._queue.send([encode_lookup(later)], delay_s=delay)
        else:
            self._look_again(Lookup(differences=self._stuck(judged.late), put_off=lookup.put_off))

    def _stuck(self, late: Sequence[Shown]) -> list[Seen]:
        """What the cache has of changes that never came there."""
        keys = list(dict.fromkeys([change.key for change in late]))
        found = dict(zip(keys, self._cache.versions(keys), strict=True))
        oldest = {change.key: change for change in sorted(late, reverse=True, key=lambda change: change.since)}
        return [
            Seen(Difference(CACHE, key, Kind.LAGGING, change.version, found[key] or ""), change.since)
            for key, change in oldest.items()
        ]

    def _look_again(self, lookup: Lookup) -> None:
        since = min(seen.since for seen in lookup.differences)
        why = self._behind(since)
        if why:
            self._put_off(lookup, why)
            return
        now = self._clock.now_ms()
        remembered = [Remembered(seen.difference, max(now - seen.since, 0)) for seen in lookup.differences]
        compared, lagging = self._verify_once.again(remembered, repair=True)
        self.done.findings += compared.findings
        self.done.not_checked.update(compared.not_checked)
        still = self._still(lookup.differences, lagging)
        if still:
            self._queue.send([encode_lookup(Lookup(differences=still))], delay_s=LAGGING_LOOK_S)

    def _still(self, seen: Sequence[Seen], lagging: Sequence[Difference]) -> list[Seen]:
        """What is as it was, and has not been so for long enough to be a finding."""
        before = {(one.difference.place, one.difference.key, one.difference.found): one.since for one in seen}
        return [
            Seen(one, since)
            for one in lagging
            if (since := before.get((one.place, one.key, one.found))) is not None
            and self._clock.now_ms() - since < STUCK_AFTER_S * 1000
        ]

    def _put_off(self, lookup: Lookup, why: str) -> None:
        self.done.not_checked[why] += len(lookup.differences)
        if lookup.put_off < PUT_OFF_MAX:
            later = Lookup(differences=lookup.differences, put_off=lookup.put_off + 1)
            self._queue.send([encode_lookup(later)], delay_s=PUT_OFF_S)
