"""Readers of the caches: what players' servers see, all the time, whatever goes wrong meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.backends.valkey.connections import Connections
from playerstate.core.model import Key
from playerstate.errors import Unavailable
from playerstate.simulation.history import Read

LOOK_EVERY_S = 0.02


class Reader(threading.Thread):
    """Polls the players of a round in one region's cache, as any Redis client would; `reads` are the news it saw.

    A read's generation is the life of the server that answered. Where that changed meanwhile, nothing is noted.
    """

    def __init__(self, region: str, socket: Callable[[], Path], players: Sequence[str]) -> None:
        super().__init__(name=f"playerstate-reader-{region}", daemon=True)
        self.reads: list[Read] = []
        self._region = region
        self._socket = socket
        self._players = players
        self._stopped = threading.Event()
        self._lives: dict[bytes, int] = {}
        self._last: dict[Key, tuple[int, str, bytes]] = {}

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Look again and again. A cache that is away is looked for."""
        while not self._stopped.is_set():
            connections = Connections(cache_url(self._socket()))
            try:
                while not self._stopped.wait(LOOK_EVERY_S):
                    self._look(connections)
            except Unavailable:
                self._stopped.wait(LOOK_EVERY_S)
            finally:
                connections.close()

    def _look(self, connections: Connections) -> None:
        cache = ValkeyCache(connections)
        life = _life(connections)
        views = [view for player in self._players for view in cache.get_player(player).views.values()]
        if _life(connections) != life:
            return
        generation = self._lives.setdefault(life, len(self._lives))
        for view in views:
            seen = generation, view.version, bytes(view.value)
            if self._last.get(view.key) != seen:
                self._last[view.key] = seen
                self.reads.append(Read(self._region, view.key, generation, view.version, view.decoded()))


def cache_url(socket: Path) -> str:
    """The URL of a cache server that listens on a socket."""
    return f"unix://{quote(str(socket))}"


def _life(connections: Connections) -> bytes:
    """What a server calls itself from its start to its end."""
    told: bytes = connections.call("INFO", "server")
    return next(line for line in told.splitlines() if line.startswith(b"run_id:"))
