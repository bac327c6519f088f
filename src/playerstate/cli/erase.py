"""`playerstate erase` and `export`: what is held about a player goes, or is handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, PlayerId, Url, leave


def erase(
    player_id: PlayerId,
    *,
    reason: Annotated[
        str,
        typer.Option(metavar="TEXT", show_default=False, help="Why, and who asked for it; the history keeps it."),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Erase a player: all of the state goes back to empty, and its history goes.

    Other regions follow as rows arrive there. What was sent before cannot bring anything back. It cannot be undone.

    Example: playerstate erase ada --reason "asked for by the player, ticket 4711"
    """
    from playerstate.cli.erasing import erase_player
    from playerstate.cli.opening import existing_node

    if as_json and not yes:
        raise click.UsageError("With --json nobody can be asked; give --yes.")
    with existing_node(data, url) as node:
        code = erase_player(node, player_id, reason, ask=not yes, as_json=as_json)
    leave(code)


def export(
    player_id: PlayerId,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, show_default=False, help="Write it to this file, for its owner to read."
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that is held about a player as JSON, to standard output or to a file.

    Example: playerstate export ada --output ada.json
    """
    from playerstate.cli.exporting import export_player
    from playerstate.cli.opening import existing_node

    with existing_node(data, url) as node:
        export_player(node, player_id, output, as_json=as_json)
