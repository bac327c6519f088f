"""`playerstate serve`: a node in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, leave


def serve(
    *,
    data: Data = DEFAULT_DATA,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The game's schema; without it the folder's own, or a starter's."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="What a new folder's region is called.  [default: local]")
    ] = None,
    cache_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A Valkey to use (redis://, rediss://, unix://) instead of one of its own."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="From which severity on to log.")
    ] = "info",
    as_json: AsJson = False,
) -> None:
    """Run a node on the data folder until it is told to stop (Ctrl-C, SIGTERM).

    Other commands and programs on this machine find it by the folder. What is under way when it stops is finished,
    what waits is done by the next start.

    Example: playerstate serve --data ./data --schema game.toml
    """
    from playerstate.cli.serving import run

    leave(ExitCode.DONE if run(data, schema, region, cache_url, log_level, as_json=as_json) else ExitCode.REFUSED)
