"""The hot cache on a Valkey or Redis server, on a cluster of them, or on a service that speaks their protocol.

One hash a player, `player:{<id>}`, has the value of a key as plain JSON in the field `<state_key>` and its
version in `<state_key>#v`; the field `#complete` says that it holds every key of the player. `lua/views.lua`
says the rest.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

import structlog
from msgspec import Raw

from playerstate.backends.valkey import scripts
from playerstate.backends.valkey.batches import batches, places_by_name
from playerstate.backends.valkey.cluster import SCHEMES, ClusterConnections
from playerstate.backends.valkey.connections import Argument, Connections
from playerstate.backends.valkey.credentials import Credentials
from playerstate.backends.valkey.scripts import Script
from playerstate.backends.valkey.translated import WrongType
from playerstate.backends.valkey.watch import watch
from playerstate.core.model import Key, View
from playerstate.core.snapshots import Entry, Inspected
from playerstate.errors import StartRefused
from playerstate.ports.cache import CachedPlayer, Put

SCAN_COUNT = 1000
LOOKED_AT_ONCE = 500
"""Of how many keys one script tells the versions."""

_PUTS = {ord("w"): Put.WRITTEN, ord("s"): Put.STALE, ord("c"): Put.CONCURRENT}
_UNWRITTEN = Raw(b"null")

MARKER_KEY = "playerstate:marker"
"""Under which a cache says whose it is."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ValkeyCache:
    """A `Cache` on one server or one cluster, which may hold other things too: only players are touched.

    A time-out is `Unavailable` even where views may have been written: offering them again changes nothing. Where a
    replica takes over, the last moments before it may be lost: views are then older than they were.
    """

    def __init__(self, connections: Connections | ClusterConnections) -> None:
        self._connections = connections

    @classmethod
    def open(cls, url: str, *, credentials: Credentials | None = None) -> ValkeyCache:
        """The cache at a `redis://`, `rediss://` or `unix://` URL, or of a cluster at one with `redis+cluster://` or
        `rediss+cluster://`. `credentials` take the place of the URL's user and password. Nothing is connected yet.
        """
        clustered = url.partition("://")[0] in SCHEMES
        return cls((ClusterConnections if clustered else Connections)(url, credentials=credentials))

    def close(self) -> None:
        """End the connections."""
        self._connections.close()

    def claim(self, marker: str) -> None:
        """Mark the cache as one folder's. Raises `StartRefused` if it is marked as another's, whose state it shows."""
        self._connections.call("SET", MARKER_KEY, marker, "NX")
        holder = self._connections.call("GET", MARKER_KEY)
        if holder != marker.encode():
            raise StartRefused("The cache belongs to another data folder; give each a database of its own, or clear it")

    def put(self, views: Sequence[View]) -> list[Put]:
        """Offer views; the answer to each, in their order."""
        return [_PUTS[letter] for batch in batches(views) for letter in self._write(scripts.PUT, batch)]

    def replace(self, views: Sequence[View]) -> None:
        """Write views whatever the cache holds."""
        for batch in batches(views):
            self._write(scripts.REPLACE, batch)

    def repair(self, key: Key, version: str, view: View | None) -> bool:
        """Replace, or delete for None, what was found to be wrong, if it still has exactly this version."""
        replacement = () if view is None else (view.version, bytes(view.value))
        wrong = _bytes(key.state_key), _bytes(version)
        return bool(self._run(scripts.REPAIR, [hash_of(key.player_id)], *wrong, *replacement))

    def versions(self, keys: Sequence[Key]) -> list[str | None]:
        """At which version each key is held: None for a miss, "" for one that is claimed to be unwritten."""
        found: list[str | None] = []
        for start in range(0, len(keys), LOOKED_AT_ONCE):
            some = keys[start : start + LOOKED_AT_ONCE]
            names = [f"player:{{{player_id}}}" for player_id, _ in some]
            answers = self._answers(scripts.VERSIONS, names, [key.state_key for key in some])
            found += [None if answer is None else answer.decode("utf-8", "replace") for answer in answers]
        return found

    def inspect(self, player_ids: Sequence[str]) -> list[Inspected]:
        """Everything that is there of each player, as it lies there."""
        found: list[Inspected] = []
        for start in range(0, len(player_ids), LOOKED_AT_ONCE):
            names = [hash_of(player_id) for player_id in player_ids[start : start + LOOKED_AT_ONCE]]
            found += map(self._inspected, self._call_each([("HGETALL", name) for name in names]))
        return found

    @staticmethod
    def _inspected(flat: list[bytes]) -> Inspected:
        fields = {_text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
        complete = fields.pop("#complete", None) is not None
        fields.pop("#fill", None)
        entries: dict[str, Entry] = {}
        for name in dict.fromkeys(_name_of(field) for field in fields):
            version = fields.get(f"{name}#v")
            entries[name] = Entry(None if version is None else _text(version), fields.get(name))
        return Inspected(entries, complete)

    def get(self, key: Key) -> View | None:
        """The view, None for a miss; a key known to be unwritten has the version "" and the value null."""
        player_id, state_key = key
        value, version, complete = self._call(
            "HMGET", f"player:{{{player_id}}}", state_key, f"{state_key}#v", "#complete"
        )
        if version is not None and value is not None:
            return View(player_id, state_key, version.decode("utf-8", "replace"), Raw(value))
        if complete is not None and version is None:
            return View(player_id, state_key, "", _UNWRITTEN)
        return None

    def get_player(self, player_id: str) -> CachedPlayer:
        """Everything that the cache holds of a player."""
        flat: list[bytes] = self._call("HGETALL", hash_of(player_id))
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        views: dict[str, View] = {}
        for field, version in fields.items():
            if field.endswith(b"#v") and field[:-2] in fields:
                state_key = field[:-2].decode("utf-8", "replace")
                known = version.decode("utf-8", "replace")
                views[state_key] = View(player_id, state_key, known, Raw(fields[field[:-2]]))
        return CachedPlayer(views, b"#complete" in fields)

    def begin_fill(self, player_id: str) -> str:
        """Announce a fill, before the store is read. Returns the token that `fill` needs."""
        token: bytes = self._run(scripts.BEGIN_FILL, [hash_of(player_id)], secrets.token_hex(8))
        return token.decode()

    def fill(self, player_id: str, views: Sequence[View], token: str) -> None:
        """Offer all views that a player has; it is complete from then on, unless the cache lost it since."""
        *earlier, last = batches(views) or [()]
        for batch in earlier:
            self._write(scripts.PUT, batch)
        self._run(scripts.FILL, [hash_of(player_id)], token, *_triples(last))

    def watch(self, player_id: str, *, timeout_s: float) -> Iterator[View | None]:
        """Views of the player as they are written; None whenever `timeout_s` passes without one."""
        return watch(self._connections, player_id, hash_of(player_id), timeout_s)

    def players(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Some of the players that the cache holds something of, and the cursor to go on with."""
        names, cursor = self._connections.scan(cursor, limit)
        return [_player_of(name) for name in names], cursor

    def sample(self, limit: int, random: Random) -> list[str]:
        """Players at random, drawn by the server."""
        drawn = self._connections.draw(limit, random)
        return [_player_of(name) for name in drawn if name and name.startswith(b"player:{") and name.endswith(b"}")]

    def clear(self) -> None:
        """Forget every player that is there now."""
        cursor = ""
        while True:
            names, cursor = self._connections.scan(cursor, SCAN_COUNT)
            if names:
                self._connections.unlink(names)
            if not cursor:
                return

    def _write(self, script: Script, views: Sequence[View]) -> Sequence[int]:
        """A letter a view."""
        return self._answers(script, [f"player:{{{view.player_id}}}" for view in views], _triples(views))

    def _answers(self, script: Script, names: Sequence[str], arguments: Sequence[Argument]) -> Sequence[Any]:
        """The answers of a script that takes hashes, with as many arguments for each, and gives an answer for each.

        On a cluster a script is given one player at a time: it may take one slot's, but while a slot is on its way
        from one node to another, keys of it may be on both, and none of them would serve two.
        """
        if self._connections.takes_any_slots:
            return self._run(script, names, *arguments)
        each = len(arguments) // max(1, len(names))
        places = places_by_name(names)
        runs = [
            (len(some), *[name] * len(some), *[one for at in some for one in arguments[each * at : each * (at + 1)]])
            for name, some in places.items()
        ]
        answers: list[Any] = [None] * len(names)
        for some, reply in zip(places.values(), self._run_each(script, list(places), runs), strict=True):
            for place, answer in zip(some, reply, strict=True):
                answers[place] = answer
        return answers

    def _call(self, command: str, name: str, *arguments: Argument) -> Any:
        """A command on a player's hash."""
        return self._on_hashes([name], lambda: self._connections.call(command, name, *arguments))

    def _call_each(self, commands: Sequence[tuple[str, str]]) -> list[Any]:
        """Commands on players' hashes."""
        return self._on_hashes([name for _, name in commands], lambda: self._connections.call_each(commands))

    def _run(self, script: Script, names: Sequence[str], *arguments: Argument) -> Any:
        """A script on players' hashes, of which a cluster takes one player's."""
        return self._on_hashes(names, lambda: self._connections.run(script, len(names), *names, *arguments))

    def _run_each(self, script: Script, names: Sequence[str], runs: Sequence[Sequence[Argument]]) -> list[Any]:
        """Runs of a script, on the hashes of those names altogether."""
        return self._on_hashes(names, lambda: self._connections.run_each(script, runs))

    def _on_hashes(self, names: Sequence[str], ask: Callable[[], T]) -> T:
        try:
            return ask()
        except WrongType:
            self._forget_what_is_no_hash(names)
            return ask()

    def _forget_what_is_no_hash(self, names: Sequence[str]) -> None:
        """Somebody else has put it there, and it would hold up everything. A player that is not cached is a miss."""
        unique = list(dict.fromkeys(names))
        kinds = self._connections.call_each([("TYPE", name) for name in unique])
        for name, kind in zip(unique, kinds, strict=True):
            if kind not in (b"hash", b"none"):
                self._connections.call("UNLINK", name)
                log.error("the cache held something that is no player's hash; it was deleted")


def hash_of(player_id: str) -> str:
    """The name of a player's hash, and of the channel of its watchers. What is in braces chooses the slot."""
    return f"player:{{{player_id}}}"


def _player_of(name: bytes) -> str:
    return name[len(b"player:{") : -1].decode("utf-8", "replace")


def _name_of(field: str) -> str:
    """The state key that a field speaks of. None has a `#`: a field with one more than ours is nobody's, and alone."""
    name = field.removesuffix("#v")
    return field if "#" in name else name


def _text(data: bytes) -> str:
    """Bytes as they lie there, which need not be text: `_bytes` gives the same ones back."""
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _triples(views: Sequence[View]) -> list[Argument]:
    """State key, version and value of each view, one after the other."""
    triples: list[Argument] = []
    for view in views:
        triples += (view.state_key, view.version, bytes(view.value))
    return triples
