"""The hot cache, in memory, with the losses that a cache may suffer at a test's command."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import count
from queue import Empty, SimpleQueue
from random import Random

import msgspec

from playerstate.core.model import Key, View
from playerstate.core.snapshots import Entry, Inspected
from playerstate.core.version_vector import Order, compare, parse_vector
from playerstate.errors import Unavailable
from playerstate.ports.cache import CachedPlayer, Put

WATCHER_BACKLOG_MAX = 10_000
"""A watcher that falls further behind has its connection broken, as by a server that runs out of buffer."""

_PUTS = {
    Order.AFTER: Put.WRITTEN,
    Order.EQUAL: Put.STALE,
    Order.BEFORE: Put.STALE,
    Order.CONCURRENT: Put.CONCURRENT,
}


@dataclass(slots=True)
class _Player:
    views: dict[str, View] = field(default_factory=dict)
    complete: bool = False
    token: str | None = None


class MemoryCache:
    """A `Cache`. `evict` and `lose` are what memory pressure, and the death of a server, do to a real one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a watch may be collected, and so end, wherever this thread is
        self._players: dict[str, _Player] = {}
        self._watchers: dict[str, list[SimpleQueue[View | None]]] = {}
        self._tokens = count(1)

    def put(self, views: Sequence[View]) -> list[Put]:
        """Offer views; the answer to each, in their order."""
        with self._lock:
            return [self._offer(view) for view in views]

    def replace(self, views: Sequence[View]) -> None:
        """Write views whatever the cache holds."""
        with self._lock:
            for view in views:
                self._write(view)

    def repair(self, key: Key, version: str, view: View | None) -> bool:
        """Replace, or delete for None, what was found to be wrong, if it still has exactly this version."""
        with self._lock:
            player = self._players.get(key.player_id, _Player())
            held = player.views.get(key.state_key)
            if (held.version if held else "") != version:
                return False
            if view is not None:
                self._write(view)
            elif key.player_id in self._players:
                player.views.pop(key.state_key, None)
                player.complete, player.token = False, None
                if not player.views:
                    del self._players[key.player_id]
            return True

    def versions(self, keys: Sequence[Key]) -> list[str | None]:
        """At which version each key is held."""
        views = [self.get(key) for key in keys]
        return [view.version if view else None for view in views]

    def inspect(self, player_ids: Sequence[str]) -> list[Inspected]:
        """Everything that is there of each player. Nobody can write to it past its calls."""
        return [
            Inspected(
                {name: Entry(view.version, bytes(view.value)) for name, view in found.views.items()}, found.complete
            )
            for found in map(self.get_player, player_ids)
        ]

    def get(self, key: Key) -> View | None:
        """The view, None for a miss; a key known to be unwritten has the version "" and the value null."""
        with self._lock:
            player = self._players.get(key.player_id)
            if player is None:
                return None
            view = player.views.get(key.state_key)
            if view is None and player.complete:
                return View(key.player_id, key.state_key, "", msgspec.Raw(b"null"))
            return view

    def get_player(self, player_id: str) -> CachedPlayer:
        """Everything that the cache holds of a player."""
        with self._lock:
            player = self._players.get(player_id, _Player())
            return CachedPlayer(dict(player.views), player.complete)

    def begin_fill(self, player_id: str) -> str:
        """Announce a fill, before the store is read. Returns the token that `fill` needs."""
        with self._lock:
            player = self._players.setdefault(player_id, _Player())
            if player.token is None:
                player.token = str(next(self._tokens))
            return player.token

    def fill(self, player_id: str, views: Sequence[View], token: str) -> None:
        """Offer all views that a player has; it is complete from then on, unless the cache lost it since."""
        with self._lock:
            for view in views:
                self._offer(view)
            player = self._players.get(player_id)
            if player is not None and player.token == token:
                player.complete, player.token = True, None

    def watch(self, player_id: str, *, timeout_s: float) -> Iterator[View | None]:
        """Views of the player as they are written; None whenever `timeout_s` passes without one."""
        written: SimpleQueue[View | None] = SimpleQueue()
        with self._lock:
            self._watchers.setdefault(player_id, []).append(written)
        views = self._listen(player_id, written, timeout_s)
        next(views)  # a generator that was begun gives its place back however it ends
        return views

    def players(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """The next players, and where to go on. The cursor is the last of them."""
        with self._lock:
            page = nsmallest(limit, (player_id for player_id in self._players if player_id > cursor))
        return page, page[-1] if len(page) == limit else ""

    def sample(self, limit: int, random: Random) -> list[str]:
        """Players at random."""
        with self._lock:
            players = sorted(self._players)
        return random.choices(players, k=limit) if players else []

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._players.clear()

    def evict(self, player_id: str) -> None:
        """Lose one player, as under memory pressure."""
        with self._lock:
            self._players.pop(player_id, None)

    def lose(self) -> None:
        """Lose everything, and every watcher's connection, as when the server dies and is started again."""
        with self._lock:
            self._players.clear()
            for player_id in list(self._watchers):
                for written in self._watchers.get(player_id, ()):
                    self._break(player_id, written)

    def _offer(self, view: View) -> Put:
        player = self._players.get(view.player_id)
        held = player.views.get(view.state_key) if player else None
        if held is not None:
            answer = _PUTS[compare(parse_vector(view.version), parse_vector(held.version))]
            if answer is not Put.WRITTEN:
                return answer
        self._write(view)
        return Put.WRITTEN

    def _write(self, view: View) -> None:
        self._players.setdefault(view.player_id, _Player()).views[view.state_key] = view
        for written in self._watchers.get(view.player_id, ()):
            if written.qsize() < WATCHER_BACKLOG_MAX:
                written.put(view)
            else:
                self._break(view.player_id, written)

    def _break(self, player_id: str, written: SimpleQueue[View | None]) -> None:
        written.put(None)
        self._stop_watching(player_id, written)

    def _stop_watching(self, player_id: str, written: SimpleQueue[View | None]) -> None:
        others = [one for one in self._watchers.get(player_id, ()) if one is not written]
        if others:
            self._watchers[player_id] = others
        else:
            self._watchers.pop(player_id, None)

    def _listen(self, player_id: str, written: SimpleQueue[View | None], timeout_s: float) -> Iterator[View | None]:
        try:
            yield None
            while True:
                try:
                    view = written.get(timeout=timeout_s)
                except Empty:
                    yield None
                    continue
                if view is None:
                    raise Unavailable("The connection to the cache broke while watching")
                yield view
        finally:
            with self._lock:
                self._stop_watching(player_id, written)
