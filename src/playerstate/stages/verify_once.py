"""Verify once: some players, looked at until it is clear what is wrong with them, while somebody waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from playerstate.core.answers import Compared
from playerstate.core.comparison import Difference
from playerstate.core.findings import Finding, Kind
from playerstate.core.suspicions import SIGHTINGS_MIN
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.walk import Walk

PAUSE_S = 0.25
"""Between two looks at what differs: longer than most of what is on its way takes."""
PLAYERS_AT_ONCE = 10
KEYS_A_PAGE_MAX = 2_000


class Remembered(NamedTuple):
    """A difference that was seen some time ago, `ago_ms` by now."""

    difference: Difference
    ago_ms: int


class VerifyOnce:
    """A walk through everything, a page at a time, or a sample. Each call has suspects of its own.

    `begin` makes an inquiry that repairs, or one that does not. `wait` passes the time, in seconds.
    """

    def __init__(
        self,
        walk: Walk,
        begin: Callable[[bool], Inquiry],
        count: Callable[[], int],
        random: Random,
        wait: Callable[[float], None],
    ) -> None:
        self._walk = walk
        self._begin = begin
        self._count = count
        self._random = random
        self._wait = wait

    def page(self, cursor: str, *, keys: int, repair: bool) -> Compared:
        """The next players of the walk, and the cursor to go on with; "" is the beginning, and the end."""
        page = self._walk.page(cursor, min(keys, KEYS_A_PAGE_MAX))
        return self._verify(page.players, page.cursor, page.keys, repair)

    def sample(self, keys: int, *, repair: bool) -> Compared:
        """About so many random keys of the store, and as many again of cache and graph."""
        return self.sampled(keys, repair=repair)[0]

    def again(self, remembered: Sequence[Remembered], *, repair: bool) -> tuple[Compared, list[Difference]]:
        """Look again at what others have seen, and whether it is stuck; also what lags at the end."""
        players = list(dict.fromkeys([one.difference.key.player_id for one in remembered]))
        inquiry = self._begin(repair)
        for one in remembered:
            inquiry.suspicions.recall(one.difference, -one.ago_ms, 0)
        return self._inquire(inquiry, players, "", 0)

    def sampled(self, keys: int, *, repair: bool) -> tuple[Compared, list[Difference]]:
        """As `sample`; also what lags at the end, for whoever looks again later."""
        sample = self._walk.sample(min(keys, KEYS_A_PAGE_MAX), self._random)
        verified, lagging = self._inquire(self._begin(repair), sample.players, "", sample.keys)
        for place in sample.silent:
            reason = f"{place} does not answer"
            verified.not_checked[reason] = verified.not_checked.get(reason, 0) + 1
        return verified, lagging

    def _verify(self, players: Sequence[str], cursor: str, keys: int, repair: bool) -> Compared:
        return self._inquire(self._begin(repair), players, cursor, keys)[0]

    def _inquire(
        self, inquiry: Inquiry, players: Sequence[str], cursor: str, keys: int
    ) -> tuple[Compared, list[Difference]]:
        found: list[Finding] = []
        again, lagging = self._look(inquiry, players, 0, found)
        compared, not_checked = inquiry.compared.copy(), inquiry.not_checked.copy()
        for look in range(1, SIGHTINGS_MIN):
            if not again:
                break
            self._wait(PAUSE_S)
            again, lagging = self._look(inquiry, again, int(look * PAUSE_S * 1000), found)
        places = Counter(one.place for one in lagging)
        verified = Compared(cursor, keys, self._count(), dict(compared), dict(places), dict(not_checked), found)
        return verified, lagging

    def _look(
        self, inquiry: Inquiry, players: Sequence[str], now: int, found: list[Finding]
    ) -> tuple[list[str], list[Difference]]:
        """Look at players; those at whom one has to look again, and what lags."""
        again: dict[str, None] = {}
        lagging: list[Difference] = []
        for start in range(0, len(players), PLAYERS_AT_ONCE):
            look, confirmed = inquiry.look(players[start : start + PLAYERS_AT_ONCE], now)
            found += confirmed
            lagging += [one for one in look.differences if one.kind is Kind.LAGGING]
            again |= dict.fromkeys(one.key.player_id for one in look.differences)
        return list(again), lagging
