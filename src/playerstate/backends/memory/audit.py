"""The audit log, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from playerstate.core.history import at
from playerstate.core.model import Delivery, Identity, Key, Transition
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX, Trimmed

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

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Look at the next transitions, and delete the old ones of them."""
        with self._lock:
            self._let_go(lambda delivery: delivery.judged_at < before)
            looked = self._next(after, limit)
            old = [found for _, found in looked if found.written_at < before]
            kept = [found.written_at for _, found in looked if found.written_at >= before]
            self._trim(old)
            return Trimmed(len(old), looked[-1][0] if len(looked) == limit else None, min(kept, default=None))

    def trim_first(self, count: int) -> int:
        """Delete the transitions that were recorded first."""
        with self._lock:
            going = [found for _, found in self._next(0, count)]
            last_at = max([found.written_at for found in going], default=0)
            self._let_go(lambda delivery: delivery.judged_at < last_at)
            return self._trim(going)

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
            del self._places[player_id, name]
        return len(names)


def _name(transition: Transition) -> _Name:
    return transition.state_key, transition.region, transition.version


def _page(found: list[T], since: int | None, before: int | None, limit: int) -> list[T]:
    """Of what is there, the latest first, the first so many of a time, and all of the last one's millisecond."""
    found = [one for one in found if (since is None or at(one) >= since) and (before is None or at(one) < before)]
    limit = max(limit, 1)
    last_at = at(found[limit - 1]) if len(found) >= limit else None
    return [one for place, one in enumerate(found) if place < limit or at(one) == last_at]
