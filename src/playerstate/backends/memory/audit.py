"""The audit log, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from playerstate.core.model import Key, Transition
from playerstate.ports.audit import Trimmed

_Name: TypeAlias = tuple[str, str, str]
"""State key, region and version: what tells a player's transitions apart."""


class MemoryAudit:
    """An `Audit`, filed by player."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._players: defaultdict[str, dict[_Name, Transition]] = defaultdict(dict)
        self._places: dict[tuple[str, _Name], int] = {}
        self._recorded = 0
        self._complete_since = 0
        self._epochs: dict[Key, int] = {}

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none."""
        recorded = list(transitions)  # taken before anything is kept: the source may fail half-way
        with self._lock:
            for transition in recorded:
                if not self._is_erased(transition):
                    self._players[transition.player_id].setdefault(_name(transition), transition)
                    if (place := (transition.player_id, _name(transition))) not in self._places:
                        self._recorded += 1
                        self._places[place] = self._recorded

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

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Look at the next transitions, and delete the old ones of them."""
        with self._lock:
            looked = self._next(after, limit)
            old = [found for _, found in looked if found.written_at < before]
            kept = [found.written_at for _, found in looked if found.written_at >= before]
            self._trim(old)
            return Trimmed(len(old), looked[-1][0] if len(looked) == limit else None, min(kept, default=None))

    def trim_first(self, count: int) -> int:
        """Delete the transitions that were recorded first."""
        with self._lock:
            return self._trim([found for _, found in self._next(0, count)])

    def bytes(self) -> int:
        """What their values take."""
        with self._lock:
            return sum([len(t.before) + len(t.after) for named in self._players.values() for t in named.values()])

    def complete_since(self) -> int:
        """From which time on nothing was trimmed."""
        return self._complete_since

    def _next(self, after: int, limit: int) -> list[tuple[int, Transition]]:
        places = [(place, player_id, name) for (player_id, name), place in self._places.items() if place > after]
        return [(place, self._players[player_id][name]) for place, player_id, name in sorted(places)[:limit]]

    def _trim(self, going: Sequence[Transition]) -> int:
        for one in going:
            self._delete(one.player_id, lambda found, one=one: found is one)  # type: ignore[misc]
            self._complete_since = max(self._complete_since, one.written_at + 1)
        return len(going)

    def _is_erased(self, transition: Transition) -> bool:
        return transition.epoch < self._epochs.get(Key(transition.player_id, transition.state_key), 0)

    def _delete(self, player_id: str, goes: Callable[[Transition], bool]) -> int:
        transitions = self._players.get(player_id, {})
        names = [name for name, transition in transitions.items() if goes(transition)]
        for name in names:
            del transitions[name]
            del self._places[player_id, name]
        return len(names)


def _name(transition: Transition) -> _Name:
    return transition.state_key, transition.region, transition.version
