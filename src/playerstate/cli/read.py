"""`playerstate get` and `watch`: what a player has, and how it changes."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, PlayerId, Url

StateKey = Annotated[
    str | None, typer.Argument(metavar="[KEY]", show_default=False, help="One key; without it, all of the player's.")
]


def get(
    player_id: PlayerId,
    state_key: StateKey = None,
    *,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show a player's state, or one key of it.

    Example: playerstate get ada gold
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.views import show_player, show_view

    with existing_node(data, url) as node:
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
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show a player's state as it changes, until Ctrl-C.

    Example: playerstate watch ada --seconds 60
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.views import show_changes

    with existing_node(data, url) as node:
        show_changes(node, player_id, count=count, seconds=seconds, as_json=as_json)
