"""History: what the audits of all regions say of a player, as one.

    own audit, other regions' audits -> [merge, filter] -> pages

A region's audit has what that region wrote. Those of the others are read where they lie; which of them could
not be read is part of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from playerstate.core.history import Entry, HistoryPage, Wanted, merged, page_of
from playerstate.core.model import Delivery, Transition
from playerstate.errors import PlayerStateError
from playerstate.ports.audit import Audit

SCANNED_AT_ONCE = 100
SCANNED_MAX = 10_000
"""How many entries a page looks at that is to show few of them: then it says where to go on, be there any or none."""
PAGE_BYTES_MAX = 8 * 1024 * 1024
"""About how many bytes of values a page holds: of large ones there are fewer on it, however many are asked for."""


class Others(NamedTuple):
    """The audits of other regions that can be read, and why those of the rest cannot."""

    audits: Mapping[str, Audit]
    not_read: Mapping[str, str]


NOBODY = Others({}, {})
EVERYTHING = Wanted()


class History:
    """Reads; it writes nothing. `others` are asked for anew at each call; `region` names the own one."""

    def __init__(
        self, own: Audit, others: Callable[[], Others] = lambda: NOBODY, *, region: Callable[[], str] = lambda: ""
    ) -> None:
        self._own = own
        self._others = others
        self._region = region

    def page(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        wanted: Wanted = EVERYTHING,
        limit: int = 100,
        everywhere: bool = True,
    ) -> HistoryPage:
        """The latest entries of a time that are wanted: at least `limit` where there are so many, unless too many have
        to be looked at, or their values are large; all of the last one's millisecond; and where it goes on.

        Raises `Unavailable` if the region's own audit cannot be read.
        """
        others = self._others() if everywhere else NOBODY
        logs, not_read = dict(others.audits), dict(others.not_read)
        at_once = min(limit, SCANNED_AT_ONCE) if wanted.everything else SCANNED_AT_ONCE
        found: list[Entry] = []
        complete_since: dict[str, int] = {}
        scanned, goes_on = 0, before
        while True:
            pages = _pages(self._own, player_id, state_key, since, goes_on, at_once)
            for region in list(logs):
                try:
                    pages += _pages(logs[region], player_id, state_key, since, goes_on, at_once)
                except PlayerStateError as exc:
                    not_read[region] = str(exc)
                    del logs[region]
            entries, goes_on = merged(pages, at_once)
            found += [entry for entry in entries if _is_wanted(entry, wanted)]
            scanned += len(entries)
            limit = _within_bytes(found, limit)
            if goes_on is None or len(found) >= limit or scanned >= SCANNED_MAX:
                break
        # asked after what was read, so that what is let go meanwhile is not taken for something that never was
        complete_since[self._region()] = self._own.complete_since()
        for region, log in logs.items():
            try:
                complete_since[region] = log.complete_since()
            except PlayerStateError as exc:
                not_read[region] = str(exc)
        shown, rest = merged([(found, None)], limit)
        return HistoryPage(
            [entry for entry in shown if isinstance(entry, Transition)],
            [entry for entry in shown if isinstance(entry, Delivery)],
            goes_on if rest is None else rest,
            dict(sorted(not_read.items())),
            dict(sorted(complete_since.items())),
        )


def _pages(
    audit: Audit, player_id: str, state_key: str | None, since: int | None, before: int | None, limit: int
) -> list[tuple[list[Entry], int | None]]:
    written = audit.history(player_id, state_key, since=since, before=before, limit=limit)
    came = audit.deliveries(player_id, state_key, since=since, before=before, limit=limit)
    return [page_of(written, limit), page_of(came, limit)]


def _within_bytes(entries: list[Entry], limit: int) -> int:
    """How many of the first entries a page may hold: up to the limit, and to the one with which it is full."""
    size = 0
    for count, entry in enumerate(entries[:limit], 1):
        size += len(entry.before) + len(entry.after) if isinstance(entry, Transition) else 0
        if size >= PAGE_BYTES_MAX:
            return count
    return limit


def _is_wanted(entry: Entry, wanted: Wanted) -> bool:
    if isinstance(entry, Transition):
        return wanted.takes_transition(entry)
    return wanted.takes_delivery(entry)
