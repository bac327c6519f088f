"""How rows travel between the stores of regions, where no managed service carries them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from playerstate.core.model import Key


class Arrival(NamedTuple):
    """A row as its own region has written it, on its way to another region's store."""

    key: Key
    region: str
    version: str
    body: bytes


class Copies(Protocol):
    """Another region's store, as this region may look at it: the copies of its own rows that have come there."""

    @property
    def region(self) -> str:
        """The region that holds them."""
        ...

    def passed(self) -> int | None:
        """Up to which position of this region's changes everything has been carried there; None if nobody knows."""
        ...

    def load(self, player_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """Of each player, the copies of this region's rows, by state key. Raises `Unavailable`."""
        ...


class Arrivals(Protocol):
    """The side of a store that takes other regions' rows.

    A region's writes of a row are in one line, each of which contains the ones before. So of two versions of a row the
    one that counts more steps is the later, and it is all the same in which order rows arrive, how often, and whether
    some of them never do: the latest stays.

    - **All or none**, durable when it returns, and told as changes, like any write.
    """

    def receive(self, arrivals: Sequence[Arrival]) -> int:
        """Take the rows that are later than what is here; returns how many were.

        Raises `Unavailable` if nothing was taken, `OutcomeUnknown` if that cannot be told.
        """
        ...
