"""Another region's replica of the table of rows, for verification: this region's rows that have come there."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.backends.aws.store import DynamoStore


class DynamoCopies:
    """`Copies` in another region. Nobody tells how far replication has come: what lags may be on its way."""

    def __init__(self, region: str, owner: str, store: DynamoStore) -> None:
        """`store` is the table by that region's endpoint; `owner` the region whose rows are looked at."""
        self._region = region
        self._owner = owner
        self._store = store

    @property
    def region(self) -> str:
        """The region that holds them."""
        return self._region

    def passed(self) -> int | None:
        """Nobody knows."""
        return None

    def load(self, player_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """Of each player, the copies of the owner's rows, by state key."""
        return [
            {
                key.state_key: rows[self._owner]
                for key, rows in self._store.load_player(player_id).items()
                if self._owner in rows
            }
            for player_id in player_ids
        ]
