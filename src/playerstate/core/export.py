"""Everything that a region holds about a player, in one answer."""

from __future__ import annotations

from typing import Any

import msgspec

from playerstate.core.findings import Finding
from playerstate.core.letters import GoneLetter
from playerstate.core.model import DeadLetter, Delivery, Json, Transition, View
from playerstate.core.numbers import to_json_number
from playerstate.core.row import Row
from playerstate.core.version_vector import format_vector


class ExportedRow(msgspec.Struct, frozen=True):
    """One region's row of a key. `state` is the data type's own shape, as plain JSON; `epoch` counts erasures."""

    version: str
    epoch: int
    written_at: int
    state: Json


class ExportedKey(msgspec.Struct, frozen=True):
    """What readers see of a key, and the rows, by region, of which that is the join."""

    view: View
    rows: dict[str, ExportedRow]


class Export(msgspec.Struct, frozen=True):
    """What `region` held about a player at a time (ms since 1970), each part as it was when it was read.

    `history` has the latest transitions, and `deliveries` what came and did nothing; where there are more,
    `history_before` is the time before which `history` goes on. `dead_letters` are those of updates whose first key is
    the player's; where there may be more, `dead_letters_after` is the letter after which `dead_letters` goes on, and
    likewise for the record of those that have gone. `findings` has the latest that verification has found; where there
    may be more, `findings_before` is the finding before which they go on. Edges are by label: `edges_out` lead from the
    player, `edges_in` from other players to the vertex with this id, and are theirs. `keys_unknown` are those of which
    another region has written rows, which are held here too, and which the schema does not have: they cannot be read.
    """

    player_id: str
    region: str
    exported_at: int
    keys: dict[str, ExportedKey]
    history: list[Transition]
    dead_letters: list[DeadLetter]
    edges_out: dict[str, list[str]]
    edges_in: dict[str, list[str]]
    history_before: int | None = None
    dead_letters_after: str | None = None
    keys_unknown: list[str] = []
    deliveries: list[Delivery] = []
    gone_letters: list[GoneLetter] = []
    gone_letters_after: int | None = None
    findings: list[Finding] = []
    findings_before: str | None = None


def exported_row(row: Row[Any]) -> ExportedRow:
    """The row as it is exported: without the producer memory, which tells of senders, and is not about the player."""
    return ExportedRow(format_vector(row.vector), row.epoch, row.written_at, _plain(msgspec.to_builtins(row.state)))


def _plain(value: Any) -> Json:
    """With integers as JSON carries them."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return to_json_number(value)
    return value
