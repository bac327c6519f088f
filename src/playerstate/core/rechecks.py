"""Every change, looked up in the cache at set ages: how many could be seen by when. Pure; times are in ms of one clock.

After Meta's Polaris (2022, "Cache made consistent"): the share of changes that are right at an age is how consistent
the cache is, in nines. What is not right at one age is looked at again at the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from math import inf, log10
from typing import NamedTuple

from playerstate.core.model import Key
from playerstate.core.version_vector import covers, parse_vector
from playerstate.errors import InvalidUpdate

AGES_S = (1, 5, 60, 300)
SUSPICIOUS_AGE_S = 5
"""From this age on a change that cannot be seen is a reason to look closer."""
LATE_MS = 500
"""By how much a look may come late and still be one at that age."""
WAITING_MAX = 50_000
LATE_MAX = 20_000
"""How many changes that were not right at the first age are remembered until the last one."""


class Check(NamedTuple):
    """A change that has to be visible: the version that a key has reached at least, and since when (ms)."""

    since: int
    key: Key
    version: str


class Rechecks:
    """The changes that wait to be looked up. Figures count since the beginning; `shed` those that were let go.

    `judged` and `right` are by age: how many changes had that age and are known to have been right, or not, by then.
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX, late_max: int = LATE_MAX) -> None:
        self.checked = 0
        self.misses = 0
        self.shed = 0
        self.judged = dict.fromkeys(AGES_S, 0)
        self.right = dict.fromkeys(AGES_S, 0)
        self._maxima = [waiting_max, *[late_max] * (len(AGES_S) - 1)]
        self._waiting: list[deque[Check]] = [deque() for _ in AGES_S]

    @property
    def waiting(self) -> int:
        """How many changes have still to be looked up."""
        return sum(map(len, self._waiting))

    def take(self, changes: Iterable[Check]) -> None:
        """Take in changes that have just been made."""
        for change in changes:
            self._wait(0, change)

    def look(self, now: int, limit: int, versions: Callable[[Sequence[Key]], Sequence[str | None]]) -> list[Key]:
        """Look up what is due, at most so many, latest first ages last; the keys that deserve a closer look.

        `versions` tells at which version the cache holds each key: None for a miss, "" for unwritten.
        """
        suspicious: list[Key] = []
        for index, age_s in enumerate(AGES_S):
            due = self._due(index, now - age_s * 1000, limit)
            if not due:
                continue
            keys = list(dict.fromkeys([check.key for check in due]))
            found = dict(zip(keys, versions(keys), strict=True))
            for _ in due:  # only now: the cache may not have answered
                self._waiting[index].popleft()
            wrong = [check for check in due if not self._judge(index, check, found[check.key], now)]
            if index + 1 < len(AGES_S):
                for check in wrong:
                    self._wait(index + 1, check)
            if age_s >= SUSPICIOUS_AGE_S:
                suspicious += [check.key for check in wrong]
        return suspicious

    def _due(self, index: int, until: int, limit: int) -> list[Check]:
        return list(takewhile(lambda check: check.since <= until, islice(self._waiting[index], limit)))

    def _judge(self, index: int, check: Check, found: str | None, now: int) -> bool:
        """Count a change that was looked up; False if it has to be looked up again at the next age."""
        self.checked += index == 0
        if found is None:
            self.misses += 1
            return True
        if not reaches(found, check.version):
            self.judged[AGES_S[index]] += 1
            return False
        for age_s in AGES_S[index:]:
            if now - check.since <= age_s * 1000 + LATE_MS:  # of an age at which nobody looked, nothing is known
                self.judged[age_s] += 1
                self.right[age_s] += 1
        return True

    def _wait(self, index: int, check: Check) -> None:
        if len(self._waiting[index]) >= self._maxima[index]:
            self.shed += 1
        else:
            self._waiting[index].append(check)


def reaches(found: str, version: str) -> bool:
    """Whether a view of the version that was found contains a change that made a row's version."""
    if found == version:
        return True
    try:
        return covers(parse_vector(found), parse_vector(version))
    except InvalidUpdate:
        return False  # somebody else has written there


def nines(right: int, judged: int) -> float:
    """How many nines a share has: 2.0 for 99 %. Infinite where nothing was wrong."""
    return inf if right == judged else log10(judged / (judged - right))
