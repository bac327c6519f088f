"""The audit log, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from playerstate.core.history import at
from playerstate.core.model import Delivery, Identity, Key, Transition
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX

_Name: TypeAlias = tuple[str, str, str]
"""State key, region and version: what tells a player's transitions apart."""
_Place: TypeAlias = tuple[str, int, int]
"""Region, position and index: what tells an update's deliveries apart."""
T = TypeVar("T", Transition, Delivery)


class MemoryAudit:
    """An `Audit`, filed by player."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._players: defaultdict[str, dict[_Name, Transition]] = defaultdict(dict)
        self._deliveries: defaultdict[Identity, dict[_Place, Delivery]] = defaultdict(dict)
        self._epochs: dict[Key, int] = {}

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions, all or none."""
        recorded = list(transitions)  # taken before anything is kept: the source may fail half-way
        with self._lock:
            for transition in recorded:
                if not self._is_erased(transition):
                    self._players[transition.player_id].setdefault(_name(transition), transition)

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries that did nothing, all or none."""
        told = list(deliveries)
        with self._lock:
            for one in told:
                places = self._deliveries[Identity(one.producer, one.sequence, one.player_id, one.state_key)]
                if not self._is_erased(one) and len(places) < DELIVERIES_PER_UPDATE_MAX:
                    places.setdefault((one.region, one.position, one.index), one)

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Delete keys' transitions and deliveries of lower epochs, now and whenever they come."""
        raised = dict(epochs)
        gone = 0
        with self._lock:
            for key, epoch in raised.items():
                self._epochs[key] = max(epoch, self._epochs.get(key, 0))
            for player_id in {key.player_id for key in raised}:
                gone += self._delete(player_id, self._is_erased)
            self._let_go(self._is_erased)
        return gone

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first."""
        with self._lock:
            found = [t for t in self._players.get(player_id, {}).values() if state_key in (None, t.state_key)]
        found.sort(key=lambda transition: (-transition.written_at, -transition.last, transition.state_key))
        return _page(found, since, before, limit)

    def deliveries(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """What came of a player's updates and did nothing: the latest first."""
        with self._lock:
            all_told = [one for places in self._deliveries.values() for one in places.values()]
        found = [d for d in all_told if d.player_id == player_id and state_key in (None, d.state_key)]
        found.sort(key=lambda delivery: (-delivery.judged_at, -delivery.position, -delivery.index))
        return _page(found, since, before, limit)

    def count(self) -> int:
        """How many transitions are kept."""
        with self._lock:
            return sum(map(len, self._players.values()))

    def trim(self, before: int) -> int:
        """Delete transitions and deliveries from before a time."""
        with self._lock:
            self._let_go(lambda delivery: delivery.judged_at < before)
            return sum([self._delete(player_id, lambda t: t.written_at < before) for player_id in self._players])

    def _is_erased(self, one: Transition | Delivery) -> bool:
        return one.epoch < self._epochs.get(Key(one.player_id, one.state_key), 0)

    def _let_go(self, goes: Callable[[Delivery], bool]) -> None:
        for places in self._deliveries.values():
            for place in [place for place, delivery in places.items() if goes(delivery)]:
                del places[place]

    def _delete(self, player_id: str, goes: Callable[[Transition], bool]) -> int:
        transitions = self._players.get(player_id, {})
        names = [name for name, transition in transitions.items() if goes(transition)]
        for name in names:
            del transitions[name]
        return len(names)


def _name(transition: Transition) -> _Name:
    return transition.state_key, transition.region, transition.version


def _page(found: list[T], since: int | None, before: int | None, limit: int) -> list[T]:
    """Of what is there, the latest first, the first so many of a time, and all of the last one's millisecond."""
    found = [one for one in found if (since is None or at(one) >= since) and (before is None or at(one) < before)]
    limit = max(limit, 1)
    last_at = at(found[limit - 1]) if len(found) >= limit else None
    return [one for place, one in enumerate(found) if place < limit or at(one) == last_at]
