"""Views for people, and as data."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.core.model import View

PATIENCE_S = 0.5
"""How often a watch that sees nothing looks at the clock."""


def show_player(player_id: str, views: Mapping[str, View], *, as_json: bool) -> None:
    """All of a player's state."""
    if as_json:
        keys = {key: {"version": view.version, "value": view.value} for key, view in sorted(views.items())}
        console.document({"player_id": player_id, "keys": keys})
    elif views:
        rows = [[key, _value(view), view.version] for key, view in sorted(views.items())]
        console.table(["key", "value", "version"], rows, title=player_id)
    else:
        console.say(f"Nothing was ever written for {player_id}.")


def show_view(view: View, *, as_json: bool) -> None:
    """One key."""
    if as_json:
        console.document(view)
    else:
        console.say(f"{_value(view)}  (version {view.version or 'none: never written'})")


def show_changes(node: PlayerState, player_id: str, *, count: int | None, seconds: float | None, as_json: bool) -> None:
    """Views as they change, until `count` of them came, `seconds` passed, or somebody presses Ctrl-C."""
    ends_at = math.inf if seconds is None else time.monotonic() + seconds
    seen = 0
    with contextlib.suppress(KeyboardInterrupt):
        for view in node.watch(player_id, timeout_s=PATIENCE_S if seconds is None else min(PATIENCE_S, seconds)):
            if view is not None:
                _show_change(view, as_json=as_json)
                seen += 1
            if seen == count or time.monotonic() >= ends_at:
                return


def _show_change(view: View, *, as_json: bool) -> None:
    if as_json:
        console.document(view)
    else:
        console.say(f"{time.strftime('%H:%M:%S')}  {view.state_key} = {_value(view)}  ({view.version})")


def _value(view: View) -> str:
    return bytes(view.value).decode()
