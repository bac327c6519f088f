"""Hindrances: what the rows say against sending an update of a dead letter again, before it is sent.

Letters grow old. A player that one names may have been erased since, and the letter is not that player's if it begins
with somebody else; sent again under a new producer, with a new time, it would bring something back. And an update that
is refused for want of room for its producer has been processed: its letter would be gone.
"""

from __future__ import annotations

from collections.abc import Callable

from playerstate.core import producers
from playerstate.core.answers import Rejected
from playerstate.core.model import Key, Reason, Update
from playerstate.core.schema import Schema
from playerstate.core.wire import row_readers
from playerstate.errors import Unavailable
from playerstate.ports.store import Store


class Hindrances:
    """Reads the store of one region. `catch_up` waits until all that was accepted before is applied, or says False."""

    def __init__(self, schema: Schema, region: Callable[[], str], store: Store, catch_up: Callable[[], bool]) -> None:
        self._region = region
        self._store = store
        self._readers = row_readers(schema)
        self._catch_up = catch_up

    def catch_up(self) -> None:
        """Have the rows know of every erasure and every producer that was accepted until now."""
        if not self._catch_up():
            raise Unavailable("Too much waits to be applied; nothing was sent")

    def of(self, update: Update, producer: str, *, found_at: int, now: int) -> Rejected | None:
        """Why the update, which was put aside at `found_at` (ms), is not sent as this producer's; None if it may be."""
        sent_at = min(update.sent_at or found_at, found_at)
        for player_id in dict.fromkeys([op.player_id for op in update.ops]):
            if sent_at <= self._erased_at(player_id):
                return Rejected("erased", f"The player {player_id} was erased since; discard the letter", "$")
        if update.ops and not self._has_room(update.first_key, producer, now):
            words = (
                f"has no room for another producer within 48 h ({update.ops[0].player_id}/{update.ops[0].state_key})"
            )
            return Rejected(str(Reason.TOO_MANY_PRODUCERS), f"The key {words}; send it again later", "$")
        return None

    def _erased_at(self, player_id: str) -> int:
        """When the player was erased last, as far as is known here, by any key: the schema may have grown since."""
        return max(
            [
                producers.erased_at(row.memory)
                for key, stored in self._store.load_player(player_id).items()
                if key.state_key in self._readers
                for row in map(self._readers[key.state_key].decode, stored.values())
                if row.epoch
            ],
            default=-1,
        )

    def _has_room(self, first: Key, producer: str, now: int) -> bool:
        if first.state_key not in self._readers:
            return True  # accept says what is wrong with it
        region = self._region()
        body = self._store.load([first])[first].get(region)
        if body is None:
            return True
        part = self._readers[first.state_key].decode(body).memory.get(region, producers.NOTHING)
        return producers.has_room(part, producer, now=now)
