"""`playerstate demo`: the whole way on this machine, shown live and checked at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import AsJson, leave


def demo(
    *,
    seconds: Annotated[float, typer.Option(min=0.5, max=3600, help="How long to send.")] = 30.0,
    players: Annotated[int, typer.Option(min=2, max=100_000, help="How many players there are.")] = 2000,
    rate: Annotated[int, typer.Option(min=1, max=100_000, help="How many updates to send a second.")] = 2550,
    seed: Annotated[int, typer.Option(help="Another seed, another load.")] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="An empty folder to run in, and to keep; without it a temporary one, removed at the end.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a node, send it a life-like load, show what happens, and compare what came of it with what was sent.

    Needs no arguments and no network. Some calls are sent twice on purpose. Ctrl-C ends the sending early. The exit
    code is 1 if in the store, the cache, the graph or the history anything is missing, doubled or different.

    Example: playerstate demo --seconds 10
    """
    from playerstate.cli.demonstrating import run
    from playerstate.workload.demo import DemoOptions

    leave(run(DemoOptions(seconds, players, rate, seed), data, as_json=as_json))
