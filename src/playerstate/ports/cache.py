"""The hot cache that every game server reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random
from typing import NamedTuple, Protocol

from playerstate.core.model import Key, View
from playerstate.core.snapshots import Inspected


class Put(Enum):
    """What became of a view that was offered to the cache."""

    WRITTEN = "written"
    STALE = "stale"
    """The cache holds this version, or a newer one."""
    CONCURRENT = "concurrent"
    """Neither covers the other. The cache keeps what it had."""


class CachedPlayer(NamedTuple):
    """What the cache holds of a player. `complete` says that a key that is not there is known to be unwritten."""

    views: dict[str, View]
    complete: bool


class Cache(Protocol):
    """Views by player and key. It may lose anything at any time, a whole player at once, and never a part of one; but
    where a replica takes over, the last moments before it may be lost of any player.

    - **Never backwards**: a view is written only over one that its vector covers, atomically per player.
    - Values and versions are opaque to it but for comparing versions.
    - Watchers of a player hear of every view written while they listen, in the order of writing; they may miss some
      when the connection breaks, and then see it break.
    """

    def put(self, views: Sequence[View]) -> list[Put]:
        """Offer views; the answer to each, in their order."""
        ...

    def replace(self, views: Sequence[View]) -> None:
        """Write views whatever the cache holds. Only for what was found to be wrong."""
        ...

    def repair(self, key: Key, version: str, view: View | None) -> bool:
        """Replace, or delete for None, what was found to be wrong, if the cache still holds exactly this version of it.

        "" stands for no version at all. Returns whether it was done. A player of whom something was deleted is not
        complete any more.
        """
        ...

    def versions(self, keys: Sequence[Key]) -> list[str | None]:
        """At which version each key is held: None for a miss, "" for one that is claimed to be unwritten."""
        ...

    def inspect(self, player_ids: Sequence[str]) -> list[Inspected]:
        """Everything that is there of each player, as it lies there."""
        ...

    def get(self, key: Key) -> View | None:
        """The view, None for a miss. A key that is known to be unwritten is a view with the version ""."""
        ...

    def get_player(self, player_id: str) -> CachedPlayer:
        """Everything that the cache holds of a player."""
        ...

    def begin_fill(self, player_id: str) -> str:
        """Announce a fill, before the store is read. Returns the token that `fill` needs."""
        ...

    def fill(self, player_id: str, views: Sequence[View], token: str) -> None:
        """Offer all views that a player has. The player is complete from then on, unless the cache lost it since."""
        ...

    def watch(self, player_id: str, *, timeout_s: float) -> Iterator[View | None]:
        """Views of the player as they are written; None whenever `timeout_s` passes without one.

        Listening begins before the first item is waited for. Ends with `Unavailable` when the connection breaks.
        """
        ...

    def players(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Some of the players that the cache holds something of, about `limit`, and the cursor to go on with.

        A walk begins and ends with "". It meets every player that is there all the time, in no order, some twice.
        """
        ...

    def sample(self, limit: int, random: Random) -> list[str]:
        """Players that the cache holds something of, at random; at most `limit`, some twice perhaps."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...
