"""Walk: all players, a page at a time, from wherever one may be: the store, and what only cache or graph have."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from playerstate.core.findings import CACHE, GRAPH
from playerstate.core.model import Key
from playerstate.errors import NotNow
from playerstate.stages.verify import Verified

_BEYOND_ALL_KEYS = "\U0010ffff"


class Page(NamedTuple):
    """Players to look at, and the cursor to go on with, "" at the end. `keys` is how many they have in the store."""

    players: list[str]
    cursor: str
    keys: int = 0


class Sample(NamedTuple):
    """Players drawn at random, of about so many `keys` in the store; `silent` are the places that did not answer."""

    players: list[str]
    keys: int
    silent: list[str]


class Walk:
    """Walks through everything. Cursors are plain text, so that a walk can be interrupted and go on elsewhere.

    Every player that is there all the time is met; who has something in the store is met in the store.
    """

    def __init__(self, parts: Verified) -> None:
        self._parts = parts

    def page(self, cursor: str, limit: int) -> Page:
        """The next players, of about `limit` keys. The first cursor is "". Raises `NotNow`."""
        place, _, after = (cursor or "store:").partition(":")
        if place == "store":
            return self._stored(after, limit)
        if place == "cache":
            players, then = self._parts.cache.players(after, limit)
            return Page(self._without_rows(players), f"cache:{then}" if then else "graph:")
        players = self._parts.graph.players(after, limit)
        return Page(self._without_rows(players), f"graph:{players[-1]}" if players else "")

    def sample(self, keys: int, random: Random) -> Sample:
        """Players of about so many random keys of the store, and as many again of cache and graph.

        Raises `NotNow` if the store does not answer.
        """
        store, cache, graph = self._parts.store, self._parts.cache, self._parts.graph
        drawn = list(dict.fromkeys([key.player_id for key in store.sample(keys, random)]))
        players: dict[str, None] = {}
        counted, silent = 0, []
        for player_id in drawn:
            if counted >= keys:
                break
            players[player_id] = None
            counted += len(store.load_player(player_id))
        like = max(len(players), 1) if drawn else keys
        try:
            players |= dict.fromkeys(cache.sample(like, random))
        except NotNow:
            silent.append(CACHE)
        try:
            led = graph.players(random.choice(drawn) if drawn else "", like)
            if len(led) < like:  # from the beginning, or those behind the last player of the store were met too often
                led += graph.players("", like - len(led))
            players |= dict.fromkeys(led)
        except NotNow:
            silent.append(GRAPH)
        return Sample(list(players), counted, silent)

    def _stored(self, after: str, limit: int) -> Page:
        keys = self._parts.store.keys(Key(after, _BEYOND_ALL_KEYS) if after else None, limit)
        players = list(dict.fromkeys([key.player_id for key in keys]))
        return Page(players, f"store:{players[-1]}" if players else "cache:", len(keys))

    def _without_rows(self, players: list[str]) -> list[str]:
        return [player_id for player_id in dict.fromkeys(players) if not self._parts.store.load_player(player_id)]
