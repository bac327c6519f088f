"""`playerstate send`: one update from arguments, or many from lines of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, Url, leave

WAIT_S = 30.0


def send(
    player_id: Annotated[
        str | None,
        typer.Argument(metavar="[PLAYER]", show_default=False, help="The player's id; `-` alone reads standard input."),
    ] = None,
    state_key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", show_default=False, help="A key of the schema.")
    ] = None,
    operation: Annotated[
        str | None, typer.Argument(metavar="[OP]", show_default=False, help="An operation of the key's type.")
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGS]...",
            show_default=False,
            help="N (counters) | ITEM N, or ITEM=N... for replace (inventory) | ELEMENT... (set) | FIELD [VALUE] (map) "
            "| VALUE (registers). A VALUE is JSON; what does not look like JSON is taken as text.",
        ),
    ] = None,
    *,
    json_update: Annotated[
        str | None,
        typer.Option(metavar="JSON", show_default=False, help="The whole update as JSON, instead of arguments."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            allow_dash=True,
            show_default=False,
            help="Send the updates in this file, one as JSON on each line; `-` is standard input.",
        ),
    ] = None,
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait",
            show_default=False,
            help="Wait for outcomes.  [default: wait for a single update, not for lines]",
        ),
    ] = None,
    wait_seconds: Annotated[float, typer.Option(min=0.0, help="How long to wait for an outcome at most.")] = WAIT_S,
    producer: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            show_default=False,
            help="Whose updates these are, where they do not say. The same lines, or the same --sequence, sent again "
            "as the same producer change nothing.",
        ),
    ] = None,
    sequence: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="A single update's number: 1, 2, ... for a producer and key."
        ),
    ] = None,
    if_version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", show_default=False, help="Apply a single update only to this version."),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option(metavar="TEXT", show_default=False, help="Why a single update is sent; the history shows it."),
    ] = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send one update, or many.

    \b
    Examples:
      playerstate send ada gold add 5
      playerstate send ada inventory add sword 1
      playerstate send ada position set '{"x": 1, "y": 2}'
      playerstate send ada friends add bob eve
      playerstate send --json-update '{"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 5}]}'
      playerstate send --file updates.ndjson --wait

    Lines that are refused are reported with their number and do not stop the others. Exit code 1 if anything was
    refused, 3 if no node answered or it is not known what became of an update.
    """  # noqa: D301 - \b keeps the lines of the examples
    from playerstate.cli.bulk import send_lines
    from playerstate.cli.opening import any_node
    from playerstate.cli.sending import SingleUpdate, send_one

    from_arguments = [part for part in (player_id, state_key, operation) if part is not None]
    if from_arguments == ["-"] and file is None:
        file, from_arguments = Path("-"), []
    if sum((bool(from_arguments), json_update is not None, file is not None)) != 1:
        raise click.UsageError("Give one of: PLAYER KEY OP [ARGS]..., --json-update JSON, --file FILE (or `-` alone).")
    if from_arguments and len(from_arguments) < 3:
        raise click.UsageError("An update needs PLAYER, KEY and OP.")
    if file is not None and (sequence is not None or if_version is not None or note is not None):
        raise click.UsageError("--sequence, --if-version and --note are for a single update.")
    if file is None and producer is not None and sequence is None:
        raise click.UsageError("A single update's --producer needs a --sequence.")
    with any_node(data, url=url) as node:
        if file is not None:
            code = send_lines(node, file, producer=producer, wait_s=wait_seconds if wait else None, as_json=as_json)
        else:
            single = SingleUpdate(from_arguments, arguments or [], json_update, producer, sequence, if_version, note)
            code = send_one(node, single, wait_s=None if wait is False else wait_seconds, as_json=as_json)
    leave(code)
