"""The audit log: every transition, for as long as it is kept, and what came again or too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from playerstate.core.model import Delivery, Key, Transition

DELIVERIES_PER_UPDATE_MAX = 16
"""How many deliveries of one update are kept that did nothing: the first that were told of."""


class Trimmed(NamedTuple):
    """What a look at some transitions came to.

    `looked_to` is the place of the last of them, where to go on, or None if there are none behind; `kept_from` is the
    earliest time of writing (ms) of those that were kept, None if none was.
    """

    deleted: int
    looked_to: int | None
    kept_from: int | None


class Audit(Protocol):
    """Transitions, identified by key, region and version: recording one again keeps one.

    Beside them deliveries, identified by key, region, update and place: the same holds of them.
    """

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none. They are kept once this returns, but for those of what was erased."""
        ...

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries that did nothing, all or none, but for those of what was erased, and for those of an update
        of which `DELIVERIES_PER_UPDATE_MAX` are kept.
        """
        ...

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Keys were erased, and are of these epochs now, or of later ones: delete their transitions and deliveries of
        lower epochs, and keep none of those that come later. All or none, durable when it returns.

        Returns how many transitions went. Being told of an epoch again, or of a lower one, changes nothing.
        """
        ...

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first, those written from the time `since` on (ms) and
        before the time `before`.

        At least `limit` where there are so many, and all of the last one's millisecond, so that the next page may begin
        before it.
        """
        ...

    def deliveries(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """What came of a player's updates, or of those of one first key, and did nothing: as `history` tells of writes,
        by the time when it was judged.
        """
        ...

    def count(self) -> int:
        """How many transitions are kept."""
        ...

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Look at the next `limit` transitions beyond the place `after`, in the order in which they were recorded, and
        delete those of them that were written before a time (ms); and of the first `limit` deliveries those that were
        judged before it.
        """
        ...

    def trim_first(self, count: int) -> int:
        """Delete the transitions that were recorded first, so many. Returns how many went."""
        ...

    def bytes(self) -> int:
        """About how many bytes the transitions that are kept take. Cheap enough to be asked every second."""
        ...

    def complete_since(self) -> int:
        """From which time (ms) on nothing that was recorded has been trimmed; 0 if nothing ever was."""
        ...
