"""The audit log: every transition, for as long as it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from playerstate.core.model import Key, Transition


class Audit(Protocol):
    """Transitions, identified by key, region and version: recording one again keeps one."""

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none. They are kept once this returns, but for those of what was erased."""
        ...

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Keys were erased, and are of these epochs now, or of later ones: delete their transitions of lower epochs,
        and keep none of those that come later. All or none, durable when it returns.

        Returns how many transitions went. Being told of an epoch again, or of a lower one, changes nothing.
        """
        ...

    def history(
        self, player_id: str, state_key: str | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first, those written before the time `before` (ms).

        At least `limit` where there are so many, and all of the last one's millisecond, so that the next page may begin
        before it.
        """
        ...

    def count(self) -> int:
        """How many transitions are kept."""
        ...

    def trim(self, before: int) -> int:
        """Delete transitions written before a time (ms). Returns how many went."""
        ...
