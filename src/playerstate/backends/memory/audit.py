"""The audit log, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from playerstate.core.model import Key, Transition

_Name: TypeAlias = tuple[str, str, str]
"""State key, region and version: what tells a player's transitions apart."""


class MemoryAudit:
    """An `Audit`, filed by player."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._players: defaultdict[str, dict[_Name, Transition]] = defaultdict(dict)
        self._epochs: dict[Key, int] = {}

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none."""
        recorded = list(transitions)  # taken before anything is kept: the source may fail half-way
        with self._lock:
            for transition in recorded:
                if not self._is_erased(transition):
                    self._players[transition.player_id].setdefault(_name(transition), transition)

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Delete keys' transitions of lower epochs, now and whenever they come."""
        raised = dict(epochs)
        gone = 0
        with self._lock:
            for key, epoch in raised.items():
                self._epochs[key] = max(epoch, self._epochs.get(key, 0))
            for player_id in {key.player_id for key in raised}:
                gone += self._delete(player_id, self._is_erased)
        return gone

    def history(
        self, player_id: str, state_key: str | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first."""
        with self._lock:
            found = [
                transition
                for transition in self._players.get(player_id, {}).values()
                if (state_key is None or transition.state_key == state_key)
                and (before is None or transition.written_at < before)
            ]
        found.sort(key=lambda transition: (-transition.written_at, -transition.last, transition.state_key))
        limit = max(limit, 1)
        last_at = found[limit - 1].written_at if len(found) >= limit else None
        return [
            transition for place, transition in enumerate(found) if place < limit or transition.written_at == last_at
        ]

    def count(self) -> int:
        """How many transitions are kept."""
        with self._lock:
            return sum(map(len, self._players.values()))

    def trim(self, before: int) -> int:
        """Delete transitions written before a time."""
        with self._lock:
            return sum([self._delete(player_id, lambda t: t.written_at < before) for player_id in self._players])

    def _is_erased(self, transition: Transition) -> bool:
        return transition.epoch < self._epochs.get(Key(transition.player_id, transition.state_key), 0)

    def _delete(self, player_id: str, goes: Callable[[Transition], bool]) -> int:
        transitions = self._players.get(player_id, {})
        names = [name for name, transition in transitions.items() if goes(transition)]
        for name in names:
            del transitions[name]
        return len(names)


def _name(transition: Transition) -> _Name:
    return transition.state_key, transition.region, transition.version
