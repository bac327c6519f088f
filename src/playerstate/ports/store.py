"""The durable store of rows, and the changes that it makes known."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from playerstate.core.model import Key
from playerstate.core.replica import Write


class Change(NamedTuple):
    """A committed write of a row, with the row before and after. Positions rise in commit order."""

    position: int
    key: Key
    region: str
    old: bytes | None
    new: bytes


class Store(Protocol):
    """Rows by key and region. A region writes only its own rows; others' arrive by replication.

    - **Conditional**: a write takes place only if the region's row still has the vector that it was read with.
    - **Atomic**: the writes of one group take place together or not at all. Groups are independent of one another, and
      are tried in the order given, each upon what the ones before it have written.
    - **Durable** when `commit` returns, before any change is read.
    - **Consistent reads** of this region's rows: `load` sees every commit that returned before it.
    """

    def load(self, keys: Sequence[Key]) -> dict[Key, dict[str, bytes]]:
        """All regions' rows of each key. A key without rows has an empty dict."""
        ...

    def load_player(self, player_id: str) -> dict[Key, dict[str, bytes]]:
        """All rows of a player."""
        ...

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """Try each group; True where it was written, False where a condition failed.

        Raises `Unavailable` if nothing was written, `OutcomeUnknown` if that cannot be told.
        """
        ...

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        """The next keys in the order of player and state key, for walking through everything."""
        ...

    def sample(self, limit: int, random: Random) -> list[Key]:
        """Keys of rows at random, each row as likely as any other; at most `limit`, some twice perhaps."""
        ...

    def count(self) -> int:
        """About how many rows there are."""
        ...


class Changes(Protocol):
    """The store's changes, in commit order, at least once."""

    def read(self, after: int, limit: int) -> list[Change]:
        """The next changes beyond the position `after`, at most `limit`."""
        ...

    def head(self) -> int:
        """The position of the last change; 0 before the first."""
        ...

    def trim(self, up_to: int) -> int:
        """Delete changes up to a position that every consumer has processed. Returns how many went."""
        ...
