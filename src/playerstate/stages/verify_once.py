"""Verify once: some players, looked at until it is clear what is wrong with them, while somebody waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from random import Random
from time import monotonic
from typing import NamedTuple

import structlog

from playerstate.core.answers import Compared
from playerstate.core.comparison import Difference
from playerstate.core.findings import Finding, Kind
from playerstate.core.suspicions import SIGHTINGS_MIN
from playerstate.errors import PlayerStateError
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.walk import Walk

PAUSE_S = 0.25
"""Between two looks at what differs: longer than most of what is on its way takes."""
PLAYERS_AT_ONCE = 10
KEYS_A_PAGE_MAX = 2_000

log = structlog.get_logger(__name__)


class Remembered(NamedTuple):
    """A difference that was seen some time ago, `ago_ms` by now."""

    difference: Difference
    ago_ms: int


class Looked(NamedTuple):
    """What a call came to, and what `lags` at its end.

    For the players that are `left` there was no time, or they could not be compared; `silent` places did not answer.
    """

    compared: Compared
    lags: list[Difference]
    left: set[str]
    silent: set[str]


class VerifyOnce:
    """A walk through everything, a page at a time, or a sample. Each call has suspects of its own.

    `begin` makes an inquiry that repairs, or one that does not. `wait` passes the time, in seconds. Once a call has
    taken `time_max_s` by `time_s`, no further players are looked at: they are counted as not checked.
    """

    def __init__(
        self,
        walk: Walk,
        begin: Callable[[bool], Inquiry],
        count: Callable[[], int],
        random: Random,
        wait: Callable[[float], None],
        *,
        time_max_s: float = inf,
        time_s: Callable[[], float] = monotonic,
    ) -> None:
        self._walk = walk
        self._begin = begin
        self._count = count
        self._random = random
        self._wait = wait
        self._time_max_s = time_max_s
        self._time_s = time_s

    def page(self, cursor: str, *, keys: int, repair: bool) -> Compared:
        """The next players of the walk, and the cursor to go on with; "" is the beginning, and the end."""
        page = self._walk.page(cursor, min(keys, KEYS_A_PAGE_MAX))
        return self._verify(page.players, page.cursor, page.keys, repair)

    def sample(self, keys: int, *, repair: bool) -> Compared:
        """About so many random keys of the store, and as many again of cache and graph."""
        return self.sampled(keys, repair=repair)[0]

    def again(self, remembered: Sequence[Remembered], *, repair: bool) -> Looked:
        """Look again at what others have seen, and whether it is stuck. What is an open finding stays that one."""
        players = list(dict.fromkeys([one.difference.key.player_id for one in remembered]))
        inquiry = self._begin(repair)
        inquiry.resume(0)
        for one in remembered:
            inquiry.suspicions.recall(one.difference, -one.ago_ms, 0)
        return self._inquire(inquiry, players, "", 0)

    def sampled(self, keys: int, *, repair: bool) -> tuple[Compared, list[Difference]]:
        """As `sample`; also what lags at the end, for whoever looks again later."""
        sample = self._walk.sample(min(keys, KEYS_A_PAGE_MAX), self._random)
        verified, lags, *_ = self._inquire(self._begin(repair), sample.players, "", sample.keys)
        for place in sample.silent:
            reason = f"{place} does not answer"
            verified.not_checked[reason] = verified.not_checked.get(reason, 0) + 1
        return verified, lags

    def _verify(self, players: Sequence[str], cursor: str, keys: int, repair: bool) -> Compared:
        return self._inquire(self._begin(repair), players, cursor, keys).compared

    def _inquire(self, inquiry: Inquiry, players: Sequence[str], cursor: str, keys: int) -> Looked:
        call = _Call(inquiry, self._time_s() + self._time_max_s)
        again, lags = self._look(call, players, 0)
        compared, not_checked = inquiry.compared.copy(), inquiry.not_checked + call.not_checked
        for look in range(1, SIGHTINGS_MIN):
            if not again:
                break
            self._wait(PAUSE_S)
            again, lags = self._look(call, again, int(look * PAUSE_S * 1000))
        places = Counter(one.place for one in lags)
        verified = Compared(cursor, keys, self._count(), dict(compared), dict(places), dict(not_checked), call.found)
        return Looked(verified, lags, call.left, call.silent)

    def _look(self, call: _Call, players: Sequence[str], now: int) -> tuple[list[str], list[Difference]]:
        """Look at players; those at whom one has to look again, and what lags."""
        again: dict[str, None] = {}
        lags: list[Difference] = []
        for start in range(0, len(players), PLAYERS_AT_ONCE):
            if self._time_s() >= call.ends_at_s:
                call.leave(players[start:], "there was no time for all players")
                break
            for difference in call.look(players[start : start + PLAYERS_AT_ONCE], now):
                again[difference.key.player_id] = None
                if difference.kind is Kind.LAGGING:
                    lags.append(difference)
        return list(again), lags


class _Call:
    """What a call has found out, and by when it has to end."""

    def __init__(self, inquiry: Inquiry, ends_at_s: float) -> None:
        self.ends_at_s = ends_at_s
        self.found: list[Finding] = []
        self.not_checked: Counter[str] = Counter()
        self.left: set[str] = set()
        self.silent: set[str] = set()
        self._inquiry = inquiry

    def look(self, players: Sequence[str], now: int) -> list[Difference]:
        """Look at players. Something that nobody thought of may lie at one; the others are looked at all the same."""
        try:
            look, confirmed = self._inquiry.look(players, now, self.silent)
        except PlayerStateError:
            raise
        except Exception as exc:
            log.exception("players could not be compared", count=len(players))
            if len(players) > 1:
                return [one for player_id in players for one in self.look([player_id], now)]
            self.leave(players, f"a player could not be compared ({type(exc).__name__})")
            return []
        self.silent |= look.silent
        self.found += confirmed
        return look.differences

    def leave(self, players: Sequence[str], why: str) -> None:
        """Do not look at players, or not again."""
        self.not_checked[why] += len(players)
        self.left |= set(players)
