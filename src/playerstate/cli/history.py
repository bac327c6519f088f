"""`playerstate history`: how what a player has came about, and what it was at any time."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, PlayerId, Url
from playerstate.cli.read import StateKey


def history(
    player_id: PlayerId,
    state_key: StateKey = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many lines, the latest first.")] = 20,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default=False, help="Only from a time on: 2026-11-26T12:00, ms, 2h (ago)."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help="Only up to a time, that included; a day is included whole."
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            metavar="OUTCOME",
            show_default=False,
            help="Only applied, refused (or refused:REASON), conflict, superseded, expired, duplicate, or resolved.",
        ),
    ] = None,
    producer: Annotated[str | None, typer.Option(show_default=False, help="Only updates of one producer.")] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default=False, help="Say what the values were at a time, and why."),
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Only what the region of this folder wrote.")] = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show which updates made a player's state what it is, in all regions; or what it was.

    Example: playerstate history ada gold --since 2h --outcome refused
    """
    import time

    from playerstate.cli.moments import parse_moment
    from playerstate.cli.opening import existing_node
    from playerstate.cli.recalled import show_recalled
    from playerstate.cli.recalling import recall
    from playerstate.cli.transitions import collect, note_put_aside, show_history
    from playerstate.core.history import Wanted

    now_ms = time.time_ns() // 1_000_000

    def moment(text: str | None, *, end: bool = False) -> int | None:
        return None if text is None else parse_moment(text, now_ms=now_ms, end=end)

    time_at, first, last = moment(at), moment(since), moment(until, end=True)
    if time_at is not None and time_at > now_ms:
        raise typer.BadParameter("--at looks back, and this is a time to come")
    if time_at is not None and (first, last, outcome, producer) != (None, None, None, None):
        raise typer.BadParameter("--at looks at everything until then; it goes with no filter")
    wanted = Wanted(outcome, producer)
    with existing_node(data, url) as node:
        if time_at is not None:
            recalled = recall(node, player_id, state_key, time_at, everywhere=not here, as_json=as_json)
            show_recalled(recalled, as_json=as_json)
            return
        before = None if last is None else last + 1
        page = collect(node, player_id, state_key, first, before, wanted, limit=limit, everywhere=not here)
        show_history(page, player_id, state_key, wanted, limit=limit, as_json=as_json)
        if not as_json:
            note_put_aside(node, player_id)
