"""`playerstate demo`: the whole way on this machine, shown live and checked at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from playerstate.cli.common import AsJson, leave


def demo(
    *,
    regions: Annotated[
        int | None, typer.Option(metavar="N", min=2, max=5, show_default=False, help="The story of several regions.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.5, max=3600, show_default="30; with --regions 10", help="How long to send a load."),
    ] = None,
    players: Annotated[
        int | None,
        typer.Option(min=2, max=100_000, show_default="2000; with --regions 200", help="How many players there are."),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, show_default="2550; with --regions 200", help="How many updates to send a second."
        ),
    ] = None,
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

    With --regions: start several, and show what becomes of one player who is written in all of them, through a
    partition and after it; then a load, and how many of the same updates are lost where the last writer wins.

    Needs no arguments and no network. Some calls are sent twice on purpose. Ctrl-C ends the sending early. The exit
    code is 1 if in the store, the cache, the graph or the history anything is missing, doubled or different.

    Example: playerstate demo --seconds 10
    """
    from playerstate.cli.demonstrating import run, run_regions
    from playerstate.workload.demo import DemoOptions
    from playerstate.workload.regional_demo import RegionalOptions

    given = {"seconds": seconds, "players": players, "rate_per_s": rate}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if regions is None:
        leave(run(DemoOptions(**chosen, seed=seed), data, as_json=as_json))
    leave(run_regions(RegionalOptions(regions, **chosen, seed=seed), data, as_json=as_json))
