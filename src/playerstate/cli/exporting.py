"""Everything that is held about a player, as one JSON document."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.letters import letter_with_body
from playerstate.cli.transitions import delivery_as_data, transition_as_data
from playerstate.core.export import Export
from playerstate.core.letters import LetterFilter

PAGE = 100


def export_player(node: PlayerState, player_id: str, output: Path | None, *, as_json: bool) -> None:
    """Write the document to standard output, or to a file that only its owner can read, and say so."""
    document = msgspec.json.encode(_document(node, node.export(player_id)))
    text = document if as_json else msgspec.json.format(document, indent=2)
    if output is None:
        console.document(msgspec.Raw(text))
        return
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # also a file that was there
        file.write(text + b"\n")
    if as_json:
        console.document({"player_id": player_id, "output": str(output), "bytes": len(text) + 1})
    else:
        console.say(f"{output}: {len(text) + 1:,} bytes about {player_id}")


def _document(node: PlayerState, export: Export) -> dict[str, Any]:
    """The export with every field named, and with what did not fit into one answer."""
    history, deliveries, letters = list(export.history), list(export.deliveries), list(export.dead_letters)
    before, after = export.history_before, export.dead_letters_after
    while before is not None:
        page = node.history(export.player_id, before=before, limit=PAGE, everywhere=False)
        history += page.transitions
        deliveries += page.deliveries
        before = page.before
    found, found_before = list(export.findings), export.findings_before
    while found_before is not None:
        more = node.findings(export.player_id, before=found_before, limit=PAGE)
        found += more
        found_before = more[-1].finding_id if more else None
    gone, gone_after = list(export.gone_letters), export.gone_letters_after
    the_players = LetterFilter(player_id=export.player_id)
    while after is not None:
        waiting = node.dead_letters(after=after, limit=PAGE, where=the_players)
        letters += waiting
        after = waiting[-1].letter_id if waiting else None
    while gone_after is not None:
        records = node.gone_letters(after=gone_after, limit=PAGE, where=the_players)
        gone += records
        gone_after = records[-1].number if records else None
    return {
        "player_id": export.player_id,
        "region": export.region,
        "exported_at": export.exported_at,
        "keys": {
            state_key: {"version": key.view.version, "value": key.view.value, "rows": key.rows}
            for state_key, key in export.keys.items()
        },
        "keys_unknown": export.keys_unknown,
        "history": [transition_as_data(transition) for transition in history],
        "deliveries": [delivery_as_data(delivery) for delivery in deliveries],
        "dead_letters": [letter_with_body(letter) for letter in letters],
        "gone_letters": gone,
        "findings": found,
        "edges_out": export.edges_out,
        "edges_in": export.edges_in,
    }
