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
from typing import TypeAlias

from msgspec import structs

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, OPEN, Finding, Kind
from playerstate.core.lookups import Lookup, Seen, Shown, delay_s, encode_lookup, judge
from playerstate.core.rechecks import AGES_S
from playerstate.errors import NotNow, described
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
    """What looks came to. Figures by age are as in `Rechecks`, the others as in `Inquiry`.

    `findings` are those found since `began_at` (ms), and earlier ones that are open no more.
    """

    def __init__(self, began_at: int = 0) -> None:
        self.began_at = began_at
        self.checked = 0
        self.misses = 0
        self.judged: Counter[int] = Counter()
        self.right: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.not_checked: Counter[str] = Counter()

    def add(self, other: Rechecked) -> None:
        """Count what other looks came to as well."""
        self.checked += other.checked
        self.misses += other.misses
        self.judged.update(other.judged)
        self.right.update(other.right)
        self.findings += other.findings
        self.not_checked.update(other.not_checked)


class Recheck:
    """The stage, in one region. `queue` is its own, and holds messages back.

    `behind` says of a place why what was changed at a time (ms) may not have come there yet, "" if it should have.
    """

    def __init__(
        self,
        cache: Cache,
        queue: Queue,
        verify_once: VerifyOnce,
        clock: Clock,
        *,
        behind: Callable[[str, int], str] = lambda *_: "",
    ) -> None:
        self.done = Rechecked(clock.now_ms())
        self._cache = cache
        self._queue = queue
        self._verify_once = verify_once
        self._clock = clock
        self._behind = behind

    def handle(self, lookups: Sequence[Lookup]) -> int:
        """Do what messages ask for; returns how many changes and differences they had.

        What parts that do not answer keep from being looked at is put off, and counted. Raises `NotNow` or
        `OutcomeUnknown` if the queue does not take what is to be looked at later; then nothing counts.
        """
        done, later = Rechecked(), list[tuple[Lookup, float]]()
        for lookup in lookups:
            try:
                if lookup.changes:
                    judged, then = self._look_up(lookup)
                else:
                    judged, then = self._look_again(lookup)
            except NotNow as exc:
                judged, then = _put_off(lookup, described(exc))
            done.add(judged)
            later += then
        for lookup, delay in later:
            self._queue.send([encode_lookup(lookup)], delay_s=delay)
        self.done.add(done)
        return sum(len(lookup.changes) + len(lookup.differences) for lookup in lookups)

    def _look_up(self, lookup: Lookup) -> _Outcome:
        now = self._clock.now_ms()
        judged = judge(lookup.changes, lookup.age, self._cache.versions, now)
        done, later = Rechecked(), list[tuple[Lookup, float]]()
        if judged.late and lookup.age + 1 < len(AGES_S):
            next_look = Lookup(lookup.age + 1, judged.late)
            later.append((next_look, delay_s(next_look.age, [change.since for change in judged.late], now)))
        elif judged.late:  # project has shown them: its lag explains nothing
            done, later = self._look_closer(self._stuck(judged.late), lookup.put_off)
        done.checked += len(lookup.changes) if lookup.age == 0 else 0
        done.misses += judged.misses
        done.judged.update(judged.judged)
        done.right.update(judged.right)
        return done, later

    def _stuck(self, late: Sequence[Shown]) -> list[Seen]:
        """What the cache has of changes that never came there."""
        keys = list(dict.fromkeys([change.key for change in late]))
        found = dict(zip(keys, self._cache.versions(keys), strict=True))
        oldest = {change.key: change for change in sorted(late, reverse=True, key=lambda change: change.since)}
        return [
            Seen(Difference(CACHE, key, Kind.LAGGING, change.version, found[key] or ""), change.since)
            for key, change in oldest.items()
        ]

    def _look_again(self, lookup: Lookup) -> _Outcome:
        """Look at differences again, but for those that a way explains which is late as a whole."""
        done, later, explained = Rechecked(), list[tuple[Lookup, float]](), list[Seen]()
        for place in dict.fromkeys(seen.difference.place for seen in lookup.differences):
            lags = [seen for seen in lookup.differences if seen.difference.place == place and _lags(seen)]
            why = self._behind(place, min(seen.since for seen in lags)) if lags else ""
            if why:
                put_off = _put_off(Lookup(differences=lags, put_off=lookup.put_off), why)
                done.add(put_off[0])
                later += put_off[1]
                explained += lags
        looked_at = [seen for seen in lookup.differences if seen not in explained]
        if looked_at:
            looked, then = self._look_closer(looked_at, lookup.put_off)
            done.add(looked)
            later += then
        return done, later

    def _look_closer(self, differences: Sequence[Seen], put_off: int) -> _Outcome:
        now = self._clock.now_ms()
        remembered = [Remembered(seen.difference, max(now - seen.since, 0)) for seen in differences]
        compared, lags, left, silent = self._verify_once.again(remembered, repair=True)
        done, later = Rechecked(), list[tuple[Lookup, float]]()
        done.findings = [one for one in compared.findings if one.found_at >= now or one.repair not in OPEN]
        done.not_checked.update(compared.not_checked)
        still = self._still(differences, lags)
        if still:
            later.append((Lookup(differences=still), LAGGING_LOOK_S))
        known = {(seen.difference.place, seen.difference.key) for seen in differences}
        followed = [one for one in compared.findings if one.found_at >= now or (one.place, one.key) in known]
        missed = [
            seen for seen in differences if seen.difference.key.player_id in left or seen.difference.place in silent
        ]
        again = [*open_findings(followed), *missed]
        if again and put_off < PUT_OFF_MAX:
            later.append((Lookup(differences=again, put_off=put_off + 1), PUT_OFF_S))
        return done, later

    def _still(self, seen: Sequence[Seen], lagging: Sequence[Difference]) -> list[Seen]:
        """What is as it was, and has not been so for long enough to be a finding."""
        before = {(one.difference.place, one.difference.key, one.difference.found): one.since for one in seen}
        return [
            Seen(one, since)
            for one in lagging
            if (since := before.get((one.place, one.key, one.found))) is not None
            and self._clock.now_ms() - since < STUCK_AFTER_S * 1000
        ]


_Outcome: TypeAlias = tuple[Rechecked, list[tuple[Lookup, float]]]
"""What a look came to, and what is to be looked at later, after how many seconds."""


def open_findings(findings: Sequence[Finding]) -> list[Seen]:
    """Those that could not be put right, to be looked at and tried again."""
    return [
        Seen(Difference(one.place, one.key, one.kind, one.expected, one.found), one.first_seen_at)
        for one in findings
        if one.repair in OPEN
    ]


def _lags(seen: Seen) -> bool:
    return seen.difference.kind is Kind.LAGGING


def _put_off(lookup: Lookup, why: str) -> _Outcome:
    done = Rechecked()
    done.not_checked[why] += len(lookup.changes) + len(lookup.differences)
    if lookup.put_off >= PUT_OFF_MAX:
        return done, []
    return done, [(structs.replace(lookup, put_off=lookup.put_off + 1), PUT_OFF_S)]
