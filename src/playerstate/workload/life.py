"""A life-like load on the starter schema: what the servers of a small game would send, from a seed.

Players are chosen by Zipf's law with the exponent that the YCSB benchmark uses (Cooper et al. 2010): few are busy, most
are seldom seen. A player's updates come from the game server that the player is on, with that server's producer id and
its sequence for the update's first key. A server decides by what it believes of a player, so that most of what it asks
for can be done; one purchase in thirty is of something too dear, and refused.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from playerstate.core.model import Key, Op, Update
from playerstate.workload.believed import Believed

ZIPF_EXPONENT = 0.99
SERVERS = 4
CROWD_SIZE = 512
"""How many players are drawn at a time."""
GUILDS = 40
FRIENDS_MAX = 60
TOO_DEAR_SHARE = 1 / 30
LOADOUT_BYTES = 1500

ITEMS = ("sword", "shield", "bow", "arrow", "potion", "torch", "rope", "herb", "ore", "gem", "map", "scroll")
ZONES = ("harbour", "market", "forest", "mine", "castle", "swamp")
TITLES = ("Novice", "Explorer", "Smith", "Slayer", "Trader", "Champion")
SETTINGS = ("language", "volume", "subtitles", "invert_y", "colours")


class Life:
    """An endless iterator of updates. The same arguments give the same updates; `sent_at` is left to the sender.

    `loadout_bytes` is about how large a loadout is: together with the mix it decides how large updates are.
    """

    def __init__(self, seed: int, *, players: int, loadout_bytes: int = LOADOUT_BYTES) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it has to be reproducible
        self._players = [Believed(f"player-{number:05d}") for number in range(1, players + 1)]
        self._weights = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, players + 1)))
        self._loadout_bytes = loadout_bytes
        self._builds = "".join(self._random.choices(string.ascii_letters + string.digits, k=65_536))
        self._sequences: Counter[tuple[str, Key]] = Counter()
        self._crowd: list[Believed] = []
        acts = self._acts()
        self._acts_by_weight = (list(acts), list(accumulate(acts.values())))

    def __iter__(self) -> Iterator[Update]:
        return self

    def __next__(self) -> Update:
        player = self._next_player()
        if not player.online:
            return self._update(player, self._log_in(player))
        acts, weights = self._acts_by_weight
        (act,) = self._random.choices(acts, cum_weights=weights)
        return self._update(player, act(player))

    def _acts(self) -> dict[Callable[[Believed], list[Op]], int]:
        """What players do, and how often, in a hundred."""
        return {
            self._move: 28,
            self._find: 16,
            self._fight: 14,
            self._trade: 14,
            self._equip: 14,
            self._meet: 5,
            self._quest: 4,
            self._rise: 2,
            self._change_guild: 1,
            self._log_out: 2,
        }

    def _next_player(self) -> Believed:
        if not self._crowd:
            self._crowd = self._random.choices(self._players, cum_weights=self._weights, k=CROWD_SIZE)
        return self._crowd.pop()

    def _update(self, player: Believed, ops: list[Op]) -> Update:
        producer = f"game-server-{player.number % SERVERS + 1}"
        line = (producer, ops[0].key)
        self._sequences[line] += 1
        return Update(ops, producer, self._sequences[line])

    def _log_in(self, player: Believed) -> list[Op]:
        player.online = True
        return [player.op("status", "set", value="online"), self._place(player)]

    def _log_out(self, player: Believed) -> list[Op]:
        player.online = False
        return [player.op("status", "set", value="offline")]

    def _move(self, player: Believed) -> list[Op]:
        return [self._place(player)]

    def _place(self, player: Believed) -> Op:
        x, y = self._random.randrange(10_000), self._random.randrange(10_000)
        return player.op("position", "set", value={"zone": self._random.choice(ZONES), "x": x / 10, "y": y / 10})

    def _find(self, player: Believed) -> list[Op]:
        """Gold, an item, or a chest with both."""
        chance = self._random.random()
        ops = []
        if chance < 0.6:
            ops.append(player.add_gold(self._random.randint(1, 50)))
        if chance > 0.4:
            ops.append(player.add_item(self._random.choice(ITEMS), self._random.randint(1, 5)))
        return ops

    def _fight(self, player: Believed) -> list[Op]:
        return [player.op("experience", "add", n=self._random.randint(5, 200))]

    def _trade(self, player: Believed) -> list[Op]:
        """Buying, selling or crafting: several operations that only make sense together."""
        item = self._random.choice(ITEMS)
        if self._random.random() < TOO_DEAR_SHARE:
            price = player.gold + 1_000_000  # more than can have come in unnoticed
            return [player.op("gold", "subtract", n=price), player.op("inventory", "add", item="crown", n=1)]
        if player.gold >= 20 and self._random.random() < 0.5:
            return [player.take_gold(self._random.randint(5, 20)), player.add_item(item, 1)]
        if player.items["ore"] >= 2 and player.items["rope"] >= 1:
            return [player.take_item("ore", 2), player.take_item("rope", 1), player.add_item("bow", 1)]
        held = [name for name, n in player.items.items() if n]
        if held:
            return [player.take_item(self._random.choice(held), 1), player.add_gold(self._random.randint(2, 15))]
        return [player.add_gold(10)]

    def _equip(self, player: Believed) -> list[Op]:
        size = self._random.randint(self._loadout_bytes // 2, self._loadout_bytes * 3 // 2)
        start = self._random.randrange(len(self._builds) - size)
        loadout = {"main": self._random.choice(ITEMS), "build": self._builds[start : start + size]}
        return [player.op("loadout", "set", value=loadout)]

    def _meet(self, player: Believed) -> list[Op]:
        """A friendship begins or ends, mostly on both sides at once."""
        other = self._next_player()
        if other is player:
            other = self._players[player.number % len(self._players)]
        parting = bool(player.friends) and (len(player.friends) >= FRIENDS_MAX or self._random.random() < 0.25)
        if parting:
            other = self._players[self._random.choice(sorted(player.friends)) - 1]
        sides = [(player, other), (other, player)]
        if self._random.random() < 0.2 or (not parting and len(other.friends) >= FRIENDS_MAX):
            del sides[1]
        return [(one.unfriend(two) if parting else one.befriend(two)) for one, two in sides]

    def _quest(self, player: Believed) -> list[Op]:
        chance = self._random.random()
        if chance < 0.3:
            return [player.op("title", "set", value=self._random.choice(TITLES))]
        if chance < 0.6:
            return [player.op("best_time_ms", "set", value=self._random.randint(20_000, 90_000))]
        if chance < 0.7:
            return [player.op("tutorial_done", "enable" if self._random.random() < 0.8 else "disable")]
        field = self._random.choice(SETTINGS)
        if chance < 0.75:
            return [player.op("settings", "remove", field=field)]
        return [player.op("settings", "set", field=field, value=self._random.randint(0, 10))]

    def _rise(self, player: Believed) -> list[Op]:
        """Now and then a server is behind and announces a lower rank than the player has."""
        player.rank = min(100, player.rank + 1)
        announced = player.rank if self._random.random() < 0.9 else max(1, player.rank - 3)
        reward = player.add_gold(100)
        return [player.op("rank", "set", value=announced), reward]

    def _change_guild(self, player: Believed) -> list[Op]:
        leaving = player.in_guild and self._random.random() < 0.3
        player.in_guild = not leaving
        name = None if leaving else f"guild-{self._random.randint(1, GUILDS):02d}"
        return [player.op("guild", "set", value=name)]
