"""`playerstate get`, `watch` and `history`: what a player has, how it changes, how it came about."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, PlayerId

StateKey = Annotated[
    str | None, typer.Argument(metavar="[KEY]", show_default=False, help="One key; without it, all of the player's.")
]


def get(player_id: PlayerId, state_key: StateKey = None, *, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show a player's state, or one key of it.

    Example: playerstate get ada gold
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.views import show_player, show_view

    with existing_node(data) as node:
        if state_key is None:
            show_player(player_id, node.get_player(player_id), as_json=as_json)
        else:
            show_view(node.get(player_id, state_key), as_json=as_json)


def watch(
    player_id: PlayerId,
    *,
    count: Annotated[int | None, typer.Option(min=1, show_default=False, help="Stop after so many changes.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, show_default=False, help="Stop after so many seconds.")
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Show a player's state as it changes, until Ctrl-C.

    Example: playerstate watch ada --seconds 60
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.views import show_changes

    with existing_node(data) as node:
        show_changes(node, player_id, count=count, seconds=seconds, as_json=as_json)


def history(
    player_id: PlayerId,
    state_key: StateKey = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many writes at most, the latest first.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(metavar="MS", show_default=False, help="Only writes before this time (ms since 1970)."),
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Show which updates made a player's state what it is.

    Example: playerstate history ada inventory --limit 5
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.transitions import show_history

    with existing_node(data) as node:
        show_history(node.history(player_id, state_key, before=before, limit=limit), player_id, as_json=as_json)
