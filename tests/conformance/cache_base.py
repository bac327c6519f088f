"""What the parts of the caches' suite share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import count

import msgspec

from conformance.suite import Suite
from playerstate.core.model import Key, View
from playerstate.ports.cache import Cache

REGION = "eu-west-1"

_numbers = count(1)


class CacheBase(Suite, ABC):
    """A backend gives the fixture `cache`, an empty one, and says how to have it fail."""

    @abstractmethod
    def lose_player(self, cache: Cache, player_id: str) -> None:
        """Have the cache lose one player."""

    @abstractmethod
    def break_watches(self, cache: Cache) -> None:
        """Have the connections of those who watch break."""


def view(
    n: int = 1,
    *,
    version: str | None = None,
    player_id: str = "anna",
    state_key: str = "gold",
    value: str | None = None,
) -> View:
    """A view that its region has written `n` times, with a value that says which one it is."""
    text = f'"at {version or n}"' if value is None else value
    return View(player_id, state_key, f"{REGION}:{n}" if version is None else version, msgspec.Raw(text.encode()))


def key(player_id: str = "anna", state_key: str = "gold") -> Key:
    """The key that `view` speaks of, if it is not told otherwise."""
    return Key(player_id, state_key)


def fresh_player() -> str:
    """A player that no other test, and no other example of the same test, speaks of."""
    return f"player {next(_numbers)}"


def everybody(cache: Cache) -> set[str]:
    """All players that a walk through the cache meets."""
    found, cursor = cache.players("", 100)
    met = set(found)
    while cursor:
        found, cursor = cache.players(cursor, 100)
        met |= set(found)
    return met
