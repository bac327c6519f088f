"""`playerstate serve`: a node in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Literal

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, ENDING_SIGNALS, AsJson, Data, ExitCode, Url, leave


def serve(
    *,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The game's schema; without it the folder's own, or a starter's."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="What a new folder's region is called.  [default: local]")
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            show_default=False,
            help="Several regions, each in a folder of its own in the data folder, which is then a deployment's. One "
            "that is there already is served with all its regions without this.",
        ),
    ] = None,
    cache_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A Valkey to use (redis://, rediss://, unix://), or a cluster (redis+cluster://, rediss+cluster://), "
            "instead of one of its own.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            show_default=False,
            help="Serve /metrics, /alarms and /health on this port of 127.0.0.1; 0 is a free one.",
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="From which severity on to log.")
    ] = "info",
    as_json: AsJson = False,
) -> None:
    """Run a node on the data folder until it is told to stop (Ctrl-C, SIGTERM); or a gateway to a deployment on AWS.

    Other commands and programs on this machine find it by the folder; that of one of several regions is
    `DIR/REGION`. What is under way when it stops is finished, what waits is done by the next start.

    \b
    Examples:
      playerstate serve --data ./data --schema game.toml
      playerstate serve --data ./world --regions us-east-1,eu-west-1,ap-northeast-1
      playerstate serve --data ./gateway --url aws://us-east-1/player-consistency-prod
    """  # noqa: D301 - \b keeps the lines of the examples
    names = [name.strip() for name in regions.split(",")] if regions is not None else []
    if names and (region is not None or cache_url is not None):
        raise click.UsageError("--region and --cache-url are for a single region.")
    if url is not None and (schema, region, regions, cache_url, metrics_port) != (None,) * 5:
        raise click.UsageError(
            "--schema, --region, --regions, --cache-url and --metrics-port are a node's, and not for a --url."
        )
    signals: SimpleQueue[int] = SimpleQueue()  # unlike an event's `set`, its `put` may interrupt anything
    for number in ENDING_SIGNALS:
        # for good: neither the start nor the stop of a node may be broken into
        signal.signal(number, lambda number, _frame: signals.put(number))

    from playerstate.cli.logs import LogLevel, configure_logging

    configure_logging(LogLevel(log_level), as_json=as_json)
    if url is not None:
        from playerstate.cli.gateway import run_gateway

        leave(ExitCode.DONE if run_gateway(data, url, signals, as_json=as_json) else ExitCode.REFUSED)
    from playerstate.cli.serving import run
    from playerstate.node import Options

    options = Options(region=region, cache_url=cache_url)
    served = run(data, schema, names, options, signals, as_json=as_json, metrics_port=metrics_port)
    leave(ExitCode.DONE if served else ExitCode.REFUSED)
