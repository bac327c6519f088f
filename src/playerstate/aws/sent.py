"""What a process has sent, until it is known what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from playerstate.core.model import Identity, Key, Outcome

KEYS_MAX = 10_000


class Sent:
    """The last identity that was accepted for each first key and producer; the older ones are let go beyond a bound.

    A producer's updates of one key take effect in their order, so the last one stands for those before it.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], Identity] = {}
        self._lock = threading.Lock()

    def add(self, identities: Iterable[Identity]) -> None:
        """Remember what was accepted."""
        with self._lock:
            for identity in identities:
                name = (identity.producer, identity.player_id, identity.state_key)
                self._last.pop(name, None)
                self._last[name] = identity
            while len(self._last) > KEYS_MAX:
                del self._last[next(iter(self._last))]

    def forget(self, player_id: str) -> None:
        """Let go of what was sent for a player by its first key."""
        with self._lock:
            self._last = {name: one for name, one in self._last.items() if one.player_id != player_id}

    def keys(self) -> list[Key]:
        """The first keys of what is not settled."""
        with self._lock:
            return list(dict.fromkeys([Key(one.player_id, one.state_key) for one in self._last.values()]))

    def settled(self, outcome: Callable[[Identity], Outcome | None]) -> bool:
        """Ask for outcomes, and forget what has one; whether nothing is left. Stops at the first that has none."""
        with self._lock:
            waiting = list(self._last.items())
        for name, identity in waiting:
            if outcome(identity) is None:
                return False
            with self._lock:
                if self._last.get(name) == identity:
                    del self._last[name]
        return True
