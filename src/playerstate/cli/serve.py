"""`playerstate serve`: a node in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Literal

import typer

from playerstate.cli.common import DEFAULT_DATA, ENDING_SIGNALS, AsJson, Data, ExitCode, leave


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
    signals: SimpleQueue[int] = SimpleQueue()  # unlike an event's `set`, its `put` may interrupt anything
    for number in ENDING_SIGNALS:
        # for good: neither the start nor the stop of a node may be broken into
        signal.signal(number, lambda number, _frame: signals.put(number))

    from playerstate.cli.logs import LogLevel, configure_logging
    from playerstate.cli.serving import run
    from playerstate.node import Options

    configure_logging(LogLevel(log_level), as_json=as_json)
    served = run(data, schema, Options(region=region, cache_url=cache_url), signals, as_json=as_json)
    leave(ExitCode.DONE if served else ExitCode.REFUSED)
