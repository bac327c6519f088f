"""Game servers under a seed: they send, repeat what they are not sure of, repeat for no reason, and change regions."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from playerstate.core.answers import Accepted
from playerstate.core.model import Key, Op, Update
from playerstate.simulation.history import Sent
from playerstate.simulation.region import SimRegion

PLAYERS = ("ada", "bob")
ITEMS = ("ore", "rope")
FRIENDS = ("x", "y", "z")
READ_SHARE = 0.4
SEEN_SHARE = 0.4
"""How often a sender reads a player before it sends, and how often an update says which version of its key was read;
a removal does whenever something was read."""


class GameServer:
    """One producer. It sends an update, and until that is acknowledged nothing but the same again."""

    def __init__(self, producer: str, region: str, random: Random) -> None:
        self.region = region
        self._producer = producer
        self._random = random
        self._sequences: Counter[Key] = Counter()
        self.unsure: Update | None = None
        self._acknowledged: list[Sent] = []
        self._versions: defaultdict[Key, deque[str]] = defaultdict(lambda: deque(maxlen=4))
        """The versions of a key that it has read last, also in regions that it has left."""

    def send(self, region: SimRegion) -> Sent | None:
        """Send something to the region that the server is at; what was acknowledged, if it was."""
        if self.unsure is None and self._acknowledged and self._random.random() < 0.2:
            return self._repeat(region)
        if self._random.random() < READ_SHARE:
            self._read(region)
        update = self.unsure or self._new(region.clock.now_ms())
        self.unsure = update
        (answer,) = region.accept.handle([update])
        assert isinstance(answer, Accepted), answer
        self.unsure = None
        self._acknowledged.append(Sent(region.name, update))
        return self._acknowledged[-1]

    def move(self, regions: Sequence[str]) -> None:
        """Go on in another region, once it is known what became of everything in this one."""
        if self.unsure is None:
            self.region = self._random.choice(regions)

    def leave(self, regions: Sequence[str]) -> Update | None:
        """Go on in another region, for this one is gone; what was sent to it last, if nobody will tell its fate."""
        unsure, self.unsure = self.unsure, None
        self.region = self._random.choice(regions)
        return unsure

    def _repeat(self, region: SimRegion) -> Sent | None:
        sent = self._random.choice(self._acknowledged)
        if sent.region == region.name:  # elsewhere it might count again until rows have come
            region.accept.handle([sent.update])
        return None

    def _read(self, region: SimRegion) -> None:
        views = region.cache.get_player(self._random.choice(PLAYERS)).views
        for view in views.values():
            self._versions[view.key].append(view.version)

    def _new(self, now_ms: int) -> Update:
        ops = [msgspec.convert(op, Op) for op in self._ops()]
        first = ops[0].key
        self._sequences[first] += 1
        versions = self._versions[first]
        says = ops[0].op == "remove" or self._random.random() < SEEN_SHARE
        seen = self._random.choice(versions) if versions and says else None
        return Update(ops, self._producer, self._sequences[first], now_ms, seen)

    def _ops(self) -> list[dict[str, Any]]:
        random = self._random
        player, other = random.sample(PLAYERS, 2)
        n, item, friend = random.randint(1, 6), random.choice(ITEMS), random.choice(FRIENDS)
        name = f"{self._producer} {self._sequences[Key(player, 'name')] + 1}"  # one that nobody else gives

        def op(state_key: str, name: str, of: str = player, **rest: Any) -> dict[str, Any]:
            return {"player_id": of, "state_key": state_key, "op": name, **rest}

        return random.choice(
            [
                [op("gold", "add", n=n)],
                [op("gold", "subtract", n=n)],
                [op("score", "add", n=n)],
                [op("bag", "add", item=item, n=n)],
                [op("bag", "subtract", item=item, n=n)],
                [op("gold", "subtract", n=n), op("bag", "add", item=item, n=1)],
                [op("bag", "subtract", item=item, n=1), op("bag", "add", other, item=item, n=1)],
                [op("name", "set", value=name)],
                [op("friends", "add", elements=[friend])],
                [op("friends", "add", elements=random.sample(FRIENDS, 2))],
                [op("friends", "remove", elements=[friend])],
                [op("friends", "remove", elements=[friend])],
            ]
        )
