"""Findings, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from playerstate.core.findings import OPEN, Finding, first_id_at


class MemoryFindings:
    """`Findings` by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._findings: dict[str, Finding] = {}

    def put(self, findings: Sequence[Finding]) -> None:
        """Keep findings, all or none."""
        found = {finding.finding_id: finding for finding in findings}  # before anything is kept: the source may fail
        with self._lock:
            self._findings.update(found)

    def list(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """Findings, or those about a player: the latest first."""
        with self._lock:
            found = [
                finding
                for finding in self._findings.values()
                if player_id in (None, finding.player_id) and (before is None or finding.finding_id < before)
            ]
        return sorted(found, key=lambda finding: finding.finding_id, reverse=True)[:limit]

    def count(self) -> int:
        """How many there are."""
        return len(self._findings)

    def erase(self, players: Mapping[str, int]) -> int:
        """Delete what was found about players before a time, each player's own."""
        firsts = {player_id: first_id_at(before) for player_id, before in players.items()}
        return self._delete(lambda finding: finding.finding_id < firsts.get(finding.player_id, ""))

    def trim(self, before: int) -> int:
        """Delete findings from before a time."""
        return self._delete(lambda finding: finding.finding_id < first_id_at(before))

    def bound(self, keep: int) -> int:
        """Delete what is more than so many: the first found, and open ones last."""
        with self._lock:
            first = sorted(self._findings.values(), key=lambda finding: (finding.repair in OPEN, finding.finding_id))
        going = {finding.finding_id for finding in first[: max(len(first) - keep, 0)]}
        return self._delete(lambda finding: finding.finding_id in going)

    def _delete(self, is_going: Callable[[Finding], bool]) -> int:
        with self._lock:
            going = [finding_id for finding_id, finding in self._findings.items() if is_going(finding)]
            for finding_id in going:
                del self._findings[finding_id]
            return len(going)
