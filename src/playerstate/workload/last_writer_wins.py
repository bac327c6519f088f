"""A model of a DynamoDB global table as it comes, for comparison: the last writer of an item wins it whole.

One item a key in every region. An update reads the items of its region, changes them by the plain rules of `ledger`,
and writes them there, all or none. Each item written is carried to the other regions whole, later, with the time of its
write; of two items of one key the one that was written later stays (ties: the region whose name is last).

Nothing is simply said to be lost: an item carries the set of the updates that its value descends from, so that in the
end it can be looked up what is not in it. What the model leaves out favours last-writer-wins: all clocks are right, no
write fails, nobody retries.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from itertools import count, permutations
from typing import NamedTuple

from playerstate.core.model import Identity, Json, Key, Update
from playerstate.runtime.replication import LinkSettings
from playerstate.workload.ledger import APPLIED, EMPTY, INSUFFICIENT, Overspent, values_after
from playerstate.workload.tape import Sent, Tape, Turned


class Item(NamedTuple):
    """A region's item of a key. `contains` are the updates that the value descends from."""

    value: Json
    at_s: float
    region: str
    contains: frozenset[Identity]


class Booked(NamedTuple):
    """An update that was applied somewhere, and for each of its keys what the value there descended from before it."""

    update: Update
    before: dict[Key, frozenset[Identity]]


class _Arrival(NamedTuple):
    """An item under way, in the order in which items arrive."""

    at_s: float
    number: int
    source: str
    target: str
    key: Key
    item: Item


class LastWriterWins:
    """The regions of one table. Times are seconds, and do not go back from call to call."""

    def __init__(self, regions: Sequence[str], *, seed: int = 0) -> None:
        self.booked: dict[Identity, Booked] = {}
        self.outcomes: Counter[str] = Counter()
        self._items: dict[str, dict[Key, Item]] = {region: {} for region in regions}
        self._ways = dict.fromkeys(permutations(regions, 2), LinkSettings())
        self._under_way: list[_Arrival] = []
        self._held: list[_Arrival] = []
        self._numbers = count()
        self._random = random.Random(seed)  # noqa: S311 - it has to be reproducible

    def play(self, tape: Tape) -> None:
        """Have everything on a tape happen, and then let all of it be carried."""
        for event in tape:
            if isinstance(event, Sent):
                self.send(event.at_s, event.region, event.update)
            else:
                self.turn(event)
        self.converge()

    def send(self, at_s: float, region: str, update: Update) -> str:
        """Apply an update in a region; what became of it."""
        self._carry(at_s)
        items = self._items[region]
        try:
            after = values_after(update, lambda key: self.value(region, key))
        except Overspent:
            self.outcomes[INSUFFICIENT] += 1
            return INSUFFICIENT
        identity = update.identity
        before = {key: items[key].contains if key in items else frozenset() for key in after}
        self.booked[identity] = Booked(update, before)
        for key, value in after.items():
            items[key] = Item(value, at_s, region, before[key] | {identity})
            for target in self._items.keys() - {region}:
                self._depart(at_s, region, target, key, items[key])
        self.outcomes[APPLIED] += 1
        return APPLIED

    def turn(self, event: Turned) -> None:
        """Change the way between two regions. What had to wait departs when it is healed."""
        self._carry(event.at_s)
        self._ways[event.source, event.target] = event.way
        held, self._held = self._held, []
        for arrival in held:
            if self._ways[arrival.source, arrival.target].cut:
                self._held.append(arrival)
            else:
                self._depart(event.at_s, *arrival[2:])

    def converge(self) -> None:
        """Heal all ways, and carry all that is under way. Then every region holds the same items."""
        for arrival in self._held:
            heapq.heappush(self._under_way, arrival)
        self._held = []
        self._ways = dict.fromkeys(self._ways, LinkSettings())
        self._carry(float("inf"))

    def value(self, region: str, key: Key) -> Json:
        """What readers in a region see of a key."""
        item = self._items[region].get(key)
        return EMPTY[key.state_key] if item is None else item.value

    def contained(self, region: str, key: Key) -> frozenset[Identity]:
        """The updates that a region's item of a key descends from."""
        item = self._items[region].get(key)
        return frozenset() if item is None else item.contains

    def written(self) -> list[Key]:
        """All keys that were written, anywhere."""
        return sorted(set().union(*self._items.values()))

    def _depart(self, at_s: float, source: str, target: str, key: Key, item: Item) -> None:
        way = self._ways[source, target]
        lag_s = (way.lag_ms + self._random.random() * way.jitter_ms) / 1000
        heapq.heappush(self._under_way, _Arrival(at_s + lag_s, next(self._numbers), source, target, key, item))

    def _carry(self, until_s: float) -> None:
        while self._under_way and self._under_way[0].at_s <= until_s:
            arrival = heapq.heappop(self._under_way)
            if self._ways[arrival.source, arrival.target].cut:
                self._held.append(arrival)
                continue
            items = self._items[arrival.target]
            held = items.get(arrival.key)
            if held is None or (arrival.item.at_s, arrival.item.region) > (held.at_s, held.region):
                items[arrival.key] = arrival.item
