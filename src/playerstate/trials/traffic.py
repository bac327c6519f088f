"""What the game servers of a round send, drawn from a seed.

The reckoning has to be simple: an element of a set, and a player's name, are changed by one game server only. Gold,
items and experience are everybody's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from playerstate.core.model import Key, Op, Update
from playerstate.core.schema import parse_schema

CALL_UPDATES_MAX = 4
ELEMENTS = 4
ITEMS = ("ore", "rope", "gem")
REFUSALS_MAX = 24
"""How many updates of one first key a game server risks to have refused: fewer than a row remembers of it."""


def game_toml(home: str) -> str:
    """The schema of the trials, whose gold begins at `home`."""
    return f"""\
[game]
name = "trials"
version = 1

[keys.gold]
type = "bounded_counter"
initial = 60
home = "{home}"

[keys.bag]
type = "inventory"

[keys.experience]
type = "counter"

[keys.rank]
type = "max_register"

[keys.name]
type = "register"

[keys.friends]
type = "set"
edge = {{ label = "FRIEND" }}
"""


SCHEMA = parse_schema(game_toml("local"))
"""As `game_toml`, for whoever does not ask where gold begins."""


class GameServer:
    """One producer. `owns` are the players whose names it alone sets."""

    def __init__(self, producer: str, players: Sequence[str], owns: Sequence[str], random: Random) -> None:
        self.producer = producer
        self._players = players
        self._owns = owns
        self._random = random
        self._sequences: Counter[Key] = Counter()
        self._risked: Counter[Key] = Counter()

    def call(self) -> list[Update]:
        """The updates of its next call, in their order."""
        now = time.time_ns() // 1_000_000
        return [self._update(now) for _ in range(self._random.randint(1, CALL_UPDATES_MAX))]

    def _update(self, now: int) -> Update:
        ops = self._ops()
        first = ops[0].key
        self._risked[first] += any(op.op == "subtract" for op in ops)
        self._sequences[first] += 1
        return Update(ops, self.producer, self._sequences[first], now)

    def _ops(self) -> list[Op]:
        random = self._random
        player, other = random.sample(self._players, 2)
        choices = [self._gain(player), self._gain(player), self._set_something(player)]
        spending = self._spend(player, other)
        if self._risked[spending[0].key] < REFUSALS_MAX:
            choices += [spending, spending]
        return random.choice(choices)

    def _gain(self, player: str) -> list[Op]:
        random = self._random
        return random.choice(
            [
                [_op(player, "gold", "add", n=random.randint(1, 9))],
                [_op(player, "bag", "add", item=random.choice(ITEMS), n=random.randint(1, 3))],
                [_op(player, "experience", "add", n=random.randint(-5, 50))],
            ]
        )

    def _set_something(self, player: str) -> list[Op]:
        random = self._random
        elements = random.sample([f"{self.producer}:{n}" for n in range(ELEMENTS)], 2)
        choices = [
            [_op(player, "rank", "set", value=random.randint(1, 1000))],
            [_op(player, "friends", random.choice(["add", "remove"]), elements=elements)],
        ]
        if self._owns:
            value = f"{self.producer} {random.randint(1, 10**9)}"
            choices.append([_op(random.choice(self._owns), "name", "set", value=value)])
        return random.choice(choices)

    def _spend(self, player: str, other: str) -> list[Op]:
        """A purchase, a trade between two players, a gift, or gold that is simply gone."""
        random = self._random
        price, item = random.randint(1, 40), random.choice(ITEMS)
        gives = [_op(player, "bag", "subtract", item=item, n=1), _op(other, "bag", "add", item=item, n=1)]
        return random.choice(
            [
                [_op(player, "gold", "subtract", n=price), _op(player, "bag", "add", item=item, n=1)],
                [*gives, _op(other, "gold", "subtract", n=price), _op(player, "gold", "add", n=price)],
                gives,
                [_op(player, "gold", "subtract", n=price)],
            ]
        )


def _op(player_id: str, state_key: str, op: str, **rest: Any) -> Op:
    return msgspec.convert({"player_id": player_id, "state_key": state_key, "op": op, **rest}, Op)
