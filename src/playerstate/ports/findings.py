"""Where findings are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from playerstate.core.findings import Finding


class Findings(Protocol):
    """Findings by their ids, durable when `put` returns. Putting one again replaces it: what became of it is new."""

    def put(self, findings: Sequence[Finding]) -> None:
        """Keep findings, all or none."""
        ...

    def list(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """Findings, or those about a player: the latest first, by id, those with an id before `before`."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def erase(self, players: Mapping[str, int]) -> int:
        """Delete what was found about players before a time (ms), each player's own. Returns how many went."""
        ...

    def trim(self, before: int) -> int:
        """Delete findings from before a time (ms). Returns how many went."""
        ...

    def bound(self, keep: int) -> int:
        """Delete what is more than so many: the first found, and open ones last. Returns how many went."""
        ...
