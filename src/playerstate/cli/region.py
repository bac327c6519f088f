"""`playerstate region`: the regions of a deployment, and the ways between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, ExitCode, confirmed, leave

app = typer.Typer(no_args_is_help=True, help="Look after the regions of a deployment, and the ways between them.")

Deployed = Annotated[
    Path,
    typer.Option(
        "--data", metavar="DIR", envvar="PLAYERSTATE_DATA", file_okay=False, help="The folder of the deployment."
    ),
]
RegionName = Annotated[str, typer.Argument(metavar="REGION", show_default=False, help="A region.")]
OtherRegion = Annotated[str, typer.Argument(metavar="OTHER", show_default=False, help="Another region.")]


@app.command("list")
def list_regions(*, data: Deployed = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show the regions, whether they run, and what waits before each on its way from the others.

    Example: playerstate region list --data ./data
    """
    from playerstate.cli.deployments import show_regions

    show_regions(data, as_json=as_json)


@app.command()
def add(region: RegionName, *, data: Deployed = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Add a region. It begins at the next `serve`, with a copy of what the others hold.

    Example: playerstate region add sa-east-1 --data ./data
    """
    from playerstate.cli.deployments import add_region

    add_region(data, region, as_json=as_json)


@app.command()
def cut(region: RegionName, other: OtherRegion, *, data: Deployed = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Have nothing pass between two regions, as when the network between them is gone. For trials, at any time.

    Example: playerstate region cut us-east-1 eu-west-1
    """
    from playerstate.cli.deployments import change_way

    change_way(data, region, other, cut=True, as_json=as_json)


@app.command()
def heal(region: RegionName, other: OtherRegion, *, data: Deployed = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Have what waits between two regions carried again.

    Example: playerstate region heal us-east-1 eu-west-1
    """
    from playerstate.cli.deployments import change_way

    change_way(data, region, other, cut=False, as_json=as_json)


@app.command()
def lag(
    region: RegionName,
    other: OtherRegion,
    *,
    ms: Annotated[int, typer.Option(min=0, max=3_600_000, help="How long every change takes at least.")] = 0,
    jitter_ms: Annotated[int, typer.Option(min=0, max=3_600_000, help="How much longer it may take.")] = 0,
    data: Deployed = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Set how long changes take between two regions. For trials, at any time.

    Example: playerstate region lag us-east-1 eu-west-1 --ms 80 --jitter-ms 40
    """
    from playerstate.cli.deployments import change_way

    change_way(data, region, other, lag_ms=ms, jitter_ms=jitter_ms, as_json=as_json)


@app.command()
def retire(
    region: RegionName,
    *,
    by: Annotated[str, typer.Option(metavar="REGION", show_default=False, help="Which region takes over its rights.")],
    lost: Annotated[
        bool, typer.Option("--lost", help="Do not wait for what it had written last: its folder cannot be read.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Deployed = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Give up a region that is gone for good: its name is never served again, and another one takes over its rights.

    What it had written and nobody has been brought is brought from its folder, if that can still be read, and before
    that nothing is taken over. What it had spent and cannot be brought may be spent a second time.

    Example: playerstate region retire us-east-1 --by eu-west-1
    """
    from playerstate.cli.deployments import retire_region

    if not yes and not confirmed(f"{region} can never be served again. Retire it?"):
        leave(ExitCode.REFUSED)
    retire_region(data, region, by=by, lost=lost, as_json=as_json)
