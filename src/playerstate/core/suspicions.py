"""Suspicions: differences that were seen, until they are confirmed or gone. Pure; time comes in, in ms of any clock.

Replication takes time, and a snapshot is of one moment. So a difference is looked at again, twice, before it becomes a
finding; and something that is only older than it should be *lags*, as long as it moves, or has not been stuck for too
long. Where it is known how far the way to a place has come, a delay of the way itself explains everything that has not
passed it yet, however long that takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple, TypeAlias

import msgspec

from playerstate.core.comparison import NOTHING_FOUND, Difference
from playerstate.core.findings import Finding, Kind
from playerstate.core.model import Key

SIGHTINGS_MIN = 3
"""How often something must have been seen, always the same, to be a finding."""
SIGHTINGS_APART_MS = 200
"""A player may be met twice within a moment, and that is one sighting."""
SUSPECTS_MAX = 10_000
LAGGING_MAX = 1_000
"""How many that lag are remembered of one place: when a way is long, or leads nowhere, everything lags."""
LOOK_AGAIN_MS = 1_000
LAGGING_LOOK_MS = 5_000
WAITING_SHARE = 0.5
"""After how much more of the time that it has lagged, something whose way has not come to it is looked at again."""
WAITING_LOOK_MAX_MS = 60_000
OPEN_LOOK_MS = 30_000
"""How often a finding that could not be put right is looked at, and tried, again."""


_Name: TypeAlias = tuple[str, Key]
"""What tells a player's suspects apart: place and key."""


class Way(NamedTuple):
    """How far a place has come on the way of this region's changes: `passed` of `head`."""

    passed: int
    head: int


class Suspect(msgspec.Struct):
    """A difference that was seen; with its `finding` once it is confirmed. `mark` is what the way has to pass."""

    difference: Difference
    first_seen_at: int
    look_at: int
    seen_at: int
    sightings: int = 1
    mark: int | None = None
    finding: Finding | None = None
    lags: bool = False
    """Whether it was remembered as something that lags: as an open finding it may become another fault."""


class Noted(NamedTuple):
    """What a look came to: what has to be put right now, and findings that turned out to be gone."""

    confirmed: list[Suspect]
    gone: list[Finding]


class Suspicions:
    """All suspects, at most `suspects_max`, of which `lagging_max` may lag in a place. `shed` counts those for which
    there was no room and that their way does not explain, `open` the findings that have not been put right.

    `stale_after_ms` says of a place how long something may be stuck there.
    """

    def __init__(
        self,
        stale_after_ms: Callable[[str], float],
        *,
        suspects_max: int = SUSPECTS_MAX,
        lagging_max: int = LAGGING_MAX,
    ) -> None:
        self._stale_after_ms = stale_after_ms
        self._suspects_max = suspects_max
        self._lagging_max = lagging_max
        self._players: dict[str, dict[_Name, Suspect]] = {}
        self._lagging: Counter[str] = Counter()
        self._count = 0
        self.open = 0
        self.shed = 0

    @property
    def waiting(self) -> int:
        """How many differences are not confirmed."""
        return self._count - self.open

    def note(
        self,
        players: Collection[str],
        places: Collection[str],
        differences: Sequence[Difference],
        ways: Mapping[str, Way],
        now: int,
        away: Collection[str] | None = None,
    ) -> Noted:
        """Take in a look at all of some players in some places. What is not among the differences is not there now.

        `away` are the places that could not be looked at; those that are neither there nor away are no more. Unless it
        is told, all others are away.
        """
        noted = Noted([], [])
        seen: dict[str, dict[_Name, Difference]] = {player_id: {} for player_id in players}
        for difference in differences:
            seen[difference.key.player_id][difference.place, difference.key] = difference
        for player_id, found in seen.items():
            suspects = self._players.get(player_id, {})
            for name in [name for name in suspects if name not in found]:
                if name[0] not in places and (away is None or name[0] in away):
                    continue
                gone = self._drop(player_id, name)
                if gone.finding is not None:
                    noted.gone.append(gone.finding)
            for name, kept in suspects.items():
                if name[0] not in places:  # whoever does not answer is not asked again at once
                    kept.look_at = max(kept.look_at, now + LOOK_AGAIN_MS)
            for name, difference in found.items():
                self._see(player_id, name, difference, ways.get(difference.place), now)
                suspect = self._players.get(player_id, {}).get(name)
                if suspect is not None and self._is_due(suspect, ways.get(difference.place), now):
                    noted.confirmed.append(suspect)
        return noted

    def due(self, now: int, limit: int) -> list[str]:
        """Players that have to be looked at again, at most so many: those that have waited longest."""
        waiting = [
            (min([suspect.look_at for suspect in suspects.values()]), player_id)
            for player_id, suspects in self._players.items()
        ]
        return [player_id for look_at, player_id in nsmallest(limit, waiting) if look_at <= now]

    def settle(self, suspect: Suspect, finding: Finding, now: int, *, open_: bool) -> None:
        """What became of something that was confirmed: it is gone, or stays `open_` and is tried again later."""
        name, player_id = (suspect.difference.place, suspect.difference.key), suspect.difference.key.player_id
        if not open_:
            self._drop(player_id, name)
            return
        self.open += suspect.finding is None
        suspect.finding, suspect.look_at = finding, now + OPEN_LOOK_MS

    def _see(self, player_id: str, name: _Name, difference: Difference, way: Way | None, now: int) -> None:
        suspect = self._players.get(player_id, {}).get(name)
        if suspect is None:
            is_explained = difference.kind is Kind.LAGGING and way is not None and way.passed < way.head
            if self._has_room(difference):
                self._put(player_id, name, _suspect(difference, way, now))
            elif not is_explained:  # and what is explained will be met again, if it stays
                self.shed += 1
        elif suspect.finding is not None:
            suspect.difference = difference  # perhaps another fault: the finding stays open until there is none
        elif _same(suspect.difference, difference):
            suspect.difference = difference
            if now - suspect.seen_at >= SIGHTINGS_APART_MS:
                suspect.sightings, suspect.seen_at = suspect.sightings + 1, now
            suspect.look_at = now + self._pause(suspect, way, now)
        else:
            self._drop(player_id, name)
            self._put(player_id, name, _suspect(difference, way, now))

    def _is_due(self, suspect: Suspect, way: Way | None, now: int) -> bool:
        """Whether it is to be put right now."""
        if suspect.finding is not None:
            return suspect.look_at <= now
        if suspect.difference.kind is not Kind.LAGGING:
            return suspect.sightings >= SIGHTINGS_MIN
        stuck = now - suspect.first_seen_at >= self._stale_after_ms(suspect.difference.place)
        return stuck and _has_passed(suspect, way) and suspect.sightings >= SIGHTINGS_MIN

    def _pause(self, suspect: Suspect, way: Way | None, now: int) -> int:
        if suspect.difference.kind is not Kind.LAGGING:
            return LOOK_AGAIN_MS
        lags_for = now - suspect.first_seen_at
        left = self._stale_after_ms(suspect.difference.place) - lags_for
        if suspect.sightings >= SIGHTINGS_MIN and not _has_passed(suspect, way):
            return int(min(max(WAITING_SHARE * lags_for, LAGGING_LOOK_MS), WAITING_LOOK_MAX_MS))
        return int(max(LOOK_AGAIN_MS, min(LAGGING_LOOK_MS, left)))

    def _has_room(self, difference: Difference) -> bool:
        may_lag = difference.kind is not Kind.LAGGING or self._lagging[difference.place] < self._lagging_max
        return may_lag and self._count < self._suspects_max

    def _put(self, player_id: str, name: _Name, suspect: Suspect) -> None:
        self._players.setdefault(player_id, {})[name] = suspect
        self._count += 1
        self._lagging[name[0]] += suspect.lags

    def _drop(self, player_id: str, name: _Name) -> Suspect:
        suspects = self._players[player_id]
        suspect = suspects.pop(name)
        if not suspects:
            del self._players[player_id]
        self._count -= 1
        self._lagging[name[0]] -= suspect.lags
        self.open -= suspect.finding is not None
        return suspect

    def recall(self, difference: Difference, first_seen_at: int, now: int) -> None:
        """Go on with a difference that another process has seen first, at a time of this clock."""
        name, player_id = (difference.place, difference.key), difference.key.player_id
        if name not in self._players.get(player_id, {}) and self._has_room(difference):
            suspect = Suspect(difference, first_seen_at, now, first_seen_at, lags=difference.kind is Kind.LAGGING)
            self._put(player_id, name, suspect)

    def resume(self, finding: Finding, now: int) -> None:
        """Go on with a finding that a process before this one left open: it is due, and to be seen or gone."""
        name, suspects = (finding.place, finding.key), self._players.get(finding.player_id, {})
        if name in suspects or self._count >= self._suspects_max:
            return
        difference = Difference(finding.place, finding.key, finding.kind, finding.expected, finding.found)
        self._put(finding.player_id, name, Suspect(difference, now, now, now, finding=finding))
        self.open += 1


def kind_when_confirmed(difference: Difference) -> Kind:
    """What a difference is called once it is a finding: what lagged for too long is stale, or has never come."""
    if difference.kind is not Kind.LAGGING:
        return difference.kind
    return Kind.MISSING if difference.found in NOTHING_FOUND else Kind.STALE


def _suspect(difference: Difference, way: Way | None, now: int) -> Suspect:
    lags = difference.kind is Kind.LAGGING
    return Suspect(difference, now, now + LOOK_AGAIN_MS, now, mark=way.head if way else None, lags=lags)


def _has_passed(suspect: Suspect, way: Way | None) -> bool:
    return way is None or suspect.mark is None or way.passed >= suspect.mark


def _same(one: Difference, other: Difference) -> bool:
    """Whether it is the same fault that is seen: the store may have moved on meanwhile.

    What is overspent stays so from version to version, until somebody makes up for it.
    """
    return one.kind is other.kind and (one.found == other.found or one.kind is Kind.OVERSPENT)
