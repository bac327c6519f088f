"""A player by the store, as verification reads it: all rows at one moment, also those that cannot be read."""

from __future__ import annotations

from typing import NamedTuple

from playerstate.core.comparison import Difference
from playerstate.core.findings import STORE, Kind
from playerstate.core.images import Image, Images
from playerstate.core.model import Key, View
from playerstate.core.schema import Schema
from playerstate.core.snapshots import Copy
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import NewerVersion, read_row_head
from playerstate.errors import InvariantViolated
from playerstate.ports.store import Store


class StoredPlayer(NamedTuple):
    """What the store has of a player, by state key.

    `images` are the rows by region, `own` this region's. `unknown` are keys that cannot be read here: of a newer
    schema, or `damaged`.
    """

    views: dict[str, View]
    images: dict[str, dict[str, Image]]
    own: dict[str, Copy]
    unknown: set[str]
    damaged: list[Difference]


def read_player(store: Store, images: Images, schema: Schema, region: str, player_id: str) -> StoredPlayer:
    """Read a player. Raises `NotNow`."""
    stored = StoredPlayer({}, {}, {}, set(), [])
    for key, rows in store.load_player(player_id).items():
        name = key.state_key
        if region in rows:
            stored.own[name] = copy_of(rows[region])
        try:
            found = {owner: images.read(name, body) for owner, body in rows.items()} if name in schema.keys else None
        except NewerVersion:
            found = None
        except InvariantViolated:
            found = None
            stored.damaged.append(Difference(STORE, key, Kind.DIVERGED, "", "", "a row cannot be read"))
        if found is None:
            stored.unknown.add(name)
        else:
            stored.images[name] = found
            stored.views[name] = images.view(key, found.values())
    return stored


def copy_of(body: bytes) -> Copy:
    """A row with the version that it says it has; "" if it cannot be read."""
    try:
        return Copy(format_vector(read_row_head(body).vector), body)
    except InvariantViolated:
        return Copy("", body)


def value_of(images: Images, key: Key, body: bytes) -> bytes | None:
    """What a row says, as JSON; None if it cannot be read."""
    try:
        return images.read(key.state_key, body).value
    except (NewerVersion, InvariantViolated):
        return None
