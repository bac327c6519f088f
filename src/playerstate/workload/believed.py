"""What a game server believes of a player: enough to ask for things that can be done."""

from __future__ import annotations

from collections import Counter
from typing import Any

from playerstate.core.model import Op


class Believed:
    """A player, as the game's servers think of them. Every call that returns an operation counts on its success."""

    def __init__(self, player_id: str) -> None:
        self.player_id = player_id
        self.number = int(player_id.rpartition("-")[2])
        self.online = False
        self.gold = 0
        self.rank = 1
        self.items: Counter[str] = Counter()
        self.friends: set[int] = set()
        self.in_guild = False

    def op(self, state_key: str, name: str, **arguments: Any) -> Op:
        """An operation on one of the player's keys."""
        return Op(self.player_id, state_key, name, **arguments)

    def add_gold(self, n: int) -> Op:
        """The player gets gold."""
        self.gold += n
        return self.op("gold", "add", n=n)

    def take_gold(self, n: int) -> Op:
        """The player pays."""
        self.gold -= n
        return self.op("gold", "subtract", n=n)

    def add_item(self, item: str, n: int) -> Op:
        """The player gets items."""
        self.items[item] += n
        return self.op("inventory", "add", item=item, n=n)

    def take_item(self, item: str, n: int) -> Op:
        """The player gives items away."""
        self.items[item] -= n
        return self.op("inventory", "subtract", item=item, n=n)

    def befriend(self, other: Believed) -> Op:
        """The other is on the player's list."""
        self.friends.add(other.number)
        return self.op("friends", "add", elements=[other.player_id])

    def unfriend(self, other: Believed) -> Op:
        """The other is no longer on the player's list."""
        self.friends.discard(other.number)
        return self.op("friends", "remove", elements=[other.player_id])
