"""The store of rows and its changes, in SQLite: rows and changes are written in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from playerstate.backends.sqlite.database import Database, insert_many
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.core.version_vector import later
from playerstate.errors import StartRefused
from playerstate.ports.replication import Arrival
from playerstate.ports.store import Change

_INSERT = (
    "INSERT INTO rows (player_id, range_key, version_vector, body) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (player_id, range_key) DO NOTHING"
)
_UPDATE = "UPDATE rows SET version_vector = ?, body = ? WHERE player_id = ? AND range_key = ? AND version_vector = ?"
_CHANGES = "INSERT INTO changes (player_id, range_key, old, new)"
_CHANGE = f"{_CHANGES} VALUES (?, ?, ?, ?)"
_LOAD_KEY = "SELECT range_key, body FROM rows WHERE player_id = ? AND range_key > ? AND range_key < ?"
_LOAD_PLAYER = "SELECT range_key, body FROM rows WHERE player_id = ?"
_ROW = "SELECT version_vector, body FROM rows WHERE player_id = ? AND range_key = ?"
_NEXT_PLAYER = "SELECT player_id FROM rows WHERE player_id > ? ORDER BY player_id LIMIT 1"
_LAST_ROW = "SELECT max(rowid) FROM rows"
_NUMBERED_ROW = "SELECT player_id, range_key FROM rows WHERE rowid = ?"
_RANGE_KEYS = "SELECT range_key FROM rows WHERE player_id = ?"

_JUST_AFTER_HASH = "$"  # the character after `#`: `gold$` lies beyond every `gold#<region>`


class SqliteStore:
    """A `Store` that takes `Arrivals`; its `changes` are the `Changes` of the same file.

    Raises `Unavailable` if the file is not `there_already`, and must be.
    """

    def __init__(self, path: Path, *, there_already: bool = False) -> None:
        self._database = Database(path, "store", there_already=there_already)
        self.changes = SqliteChanges(self._database)

    def stamp(self, region: str, *, first: bool) -> None:
        """Make sure that the file is the region's own: dots must never be handed out from another's, or a second time.

        A file without a name gets it if this is the `first` time. Raises `StartRefused` for any other.
        """
        with self._database.transaction() as connection:
            named = [name for (name,) in connection.execute("SELECT region FROM about")]
            if not named and first:
                connection.execute("INSERT INTO about (region) VALUES (?)", (region,))
            elif named != [region]:
                raise StartRefused(
                    f"store.db is {named[0] if named else 'another file'}, not the store of {region}: a region whose "
                    "store was lost or set back must come back under a new name, see `playerstate restore` and "
                    "`playerstate region retire`"
                )

    def rename(self, region: str) -> None:
        """Have the file belong to a region that has never written to it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM about")
            connection.execute("INSERT INTO about (region) VALUES (?)", (region,))

    def load(self, keys: Sequence[Key]) -> dict[Key, dict[str, bytes]]:
        """All regions' rows of each key."""
        loaded = {}
        with self._database.reading() as connection:
            execute = connection.execute
            for key in keys:
                player_id, state_key = key
                found = execute(_LOAD_KEY, (player_id, f"{state_key}#", f"{state_key}{_JUST_AFTER_HASH}")).fetchall()
                loaded[key] = {range_key[len(state_key) + 1 :]: body for range_key, body in found}
        return loaded

    def versions(self, keys: Sequence[Key], region: str) -> dict[Key, str]:
        """The versions of a region's rows of the keys, those that are there."""
        with self._database.reading() as connection:
            found = [(key, connection.execute(_ROW, _place(key, region)).fetchone()) for key in keys]
        return {key: row[0] for key, row in found if row is not None}

    def load_player(self, player_id: str) -> dict[Key, dict[str, bytes]]:
        """All rows of a player."""
        loaded: dict[Key, dict[str, bytes]] = {}
        for range_key, body in self._database.read(_LOAD_PLAYER, (player_id,)):
            state_key, _, region = range_key.partition("#")
            loaded.setdefault(Key(player_id, state_key), {})[region] = body
        return loaded

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """Try each group, all in one transaction of the file."""
        with self._database.transaction() as connection:
            return [ok for wave in _waves(groups) for ok in _commit_wave(connection, wave)]

    def receive(self, arrivals: Sequence[Arrival]) -> int:
        """Take other regions' rows that are later than what is here."""
        with self._database.transaction() as connection:
            return sum([_receive_one(connection, arrival) for arrival in arrivals])

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        """The next keys in the order of player and state key."""
        keys: list[Key] = []
        player_id = ""
        if after:
            player_id = after.player_id
            keys = [key for key in self._keys_of(player_id) if key > after]
        while len(keys) < limit and (found := self._database.read(_NEXT_PLAYER, (player_id,))):
            player_id = found[0][0]
            keys += self._keys_of(player_id)
        return keys[:limit]

    def sample(self, limit: int, random: Random) -> list[Key]:
        """Keys of rows at random: rows are never deleted, so that their numbers have no gaps."""
        with self._database.reading() as connection:
            (last,) = connection.execute(_LAST_ROW).fetchone()
            numbers = [random.randint(1, last) for _ in range(limit)] if last else []
            found = [connection.execute(_NUMBERED_ROW, (number,)).fetchone() for number in numbers]
        return [Key(row[0], row[1].partition("#")[0]) for row in found if row is not None]

    def count(self) -> int:
        """How many rows there are."""
        return int(self._database.read(_LAST_ROW)[0][0] or 0)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _keys_of(self, player_id: str) -> list[Key]:
        """A player's keys, sorted here: range keys sort otherwise where a key's character comes before `#`."""
        found = self._database.read(_RANGE_KEYS, (player_id,))
        return sorted({Key(player_id, range_key.partition("#")[0]) for (range_key,) in found})


class SqliteChanges:
    """The `Changes` of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, after: int, limit: int) -> list[Change]:
        """The next changes beyond a position."""
        sql = (
            "SELECT position, player_id, range_key, old, new FROM changes WHERE position > ? ORDER BY position LIMIT ?"
        )
        changes = []
        for position, player_id, range_key, old, new in self._database.read_log(sql, (after, limit)):
            state_key, _, region = range_key.partition("#")
            changes.append(Change(position, Key(player_id, state_key), region, old, new))
        return changes

    def head(self) -> int:
        """The position of the last change."""
        rows = self._database.read("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        return int(rows[0][0]) if rows else 0

    def trim(self, up_to: int) -> int:
        """Delete changes up to a position."""
        return self._database.delete_up_to("changes", up_to)


def _place(key: Key, region: str) -> tuple[str, str]:
    return key.player_id, f"{key.state_key}#{region}"


def _receive_one(connection: sqlite3.Connection, arrival: Arrival) -> bool:
    place = _place(arrival.key, arrival.region)
    current = connection.execute(_ROW, place).fetchone()
    if current is None:
        connection.execute(_INSERT, (*place, arrival.version, arrival.body))
        connection.execute(_CHANGE, (*place, None, arrival.body))
        return True
    version, body = current
    if not later(arrival.version, than=version):
        return False
    connection.execute(_UPDATE, (arrival.version, arrival.body, *place, version))
    connection.execute(_CHANGE, (*place, body, arrival.body))
    return True


def _waves(groups: Sequence[Sequence[Write]]) -> Iterator[Sequence[Sequence[Write]]]:
    """The groups in their order, cut wherever one writes a row that one before it has written."""
    rows = [(write.key, write.region) for group in groups for write in group]
    if len(set(rows)) == len(rows):
        yield groups
        return
    wave: list[Sequence[Write]] = []
    touched: set[tuple[Key, str]] = set()
    for group in groups:
        written = {(write.key, write.region) for write in group}
        if not touched.isdisjoint(written):
            yield wave
            wave, touched = [], set()
        wave.append(group)
        touched |= written
    yield wave


def _commit_wave(connection: sqlite3.Connection, groups: Sequence[Sequence[Write]]) -> list[bool]:
    """Write groups that have no row in common: all at once, or, where a condition fails, one by one."""
    writes = [write for group in groups for write in group]
    if _commit_at_once(connection, writes):
        return [True] * len(groups)
    return [_commit_one(connection, group) for group in groups]


def _commit_at_once(connection: sqlite3.Connection, writes: Sequence[Write]) -> bool:
    """Write everything; False, with nothing written, if a condition failed."""
    inserts, updates, changes = [], [], []
    for (player_id, state_key), region, seen, version, old, new in writes:
        range_key = f"{state_key}#{region}"
        changes.append((player_id, range_key, old, new))
        if seen is None:
            inserts.append((player_id, range_key, version, new))
        else:
            updates.append((version, new, player_id, range_key, seen))
    connection.execute("SAVEPOINT everything")
    inserted = connection.executemany(_INSERT, inserts).rowcount
    updated = connection.executemany(_UPDATE, updates).rowcount
    if max(inserted, 0) + max(updated, 0) != len(writes):
        connection.execute("ROLLBACK TO everything")
        connection.execute("RELEASE everything")
        return False
    insert_many(connection, _CHANGES, changes)
    connection.execute("RELEASE everything")
    return True


def _commit_one(connection: sqlite3.Connection, group: Sequence[Write]) -> bool:
    connection.execute("SAVEPOINT one")
    for write in group:
        place = _place(write.key, write.region)
        if write.seen is None:
            written = connection.execute(_INSERT, (*place, write.version, write.new)).rowcount
        else:
            written = connection.execute(_UPDATE, (write.version, write.new, *place, write.seen)).rowcount
        if written != 1:
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            return False
        connection.execute(_CHANGE, (*place, write.old, write.new))
    connection.execute("RELEASE one")
    return True
