"""How a row lies in the table of rows, and what a key's rows have in common there.

The table's keys are the player and a name such as `gold#us-east-1`: a region's row of a key is an item that no other
region writes. Neither part of the name has a `#` in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playerstate.core.model import Key
from playerstate.errors import InvariantViolated

PLAYER, PLACE, VERSION, BODY = "player_id", "state_key", "version_vector", "body"
"""The attributes of a row: the two of its key, its version vector as text, and the row as MessagePack."""

SEPARATOR = "#"
BEYOND_REGIONS = "\U0010ffff"
"""In place of a region, what sorts behind every region."""


def place(state_key: str, region: str) -> str:
    """The range key of a row."""
    return f"{state_key}{SEPARATOR}{region}"


def split_place(place: str) -> tuple[str, str]:
    """The state key and the region of a range key. Raises `ValueError` if it is none of a row."""
    state_key, region = place.split(SEPARATOR)
    if not state_key or not region:
        raise ValueError("a part is empty")
    return state_key, region


def item_key(key: Key, region: str) -> dict[str, Any]:
    """The primary key of a row, as DynamoDB takes it."""
    return {PLAYER: {"S": key.player_id}, PLACE: {"S": f"{key.state_key}{SEPARATOR}{region}"}}


def key_of(item: Mapping[str, Any]) -> tuple[Key, str]:
    """Whose row an item is, and of which region. Raises `InvariantViolated` for what nobody of us has written."""
    try:
        state_key, region = split_place(item[PLACE]["S"])
        return Key(item[PLAYER]["S"], state_key), region
    except (KeyError, ValueError) as exc:
        raise InvariantViolated("something is in the table of rows that is no row") from exc
