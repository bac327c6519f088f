"""`playerstate replay`: a recording of a game, sent through a node and compared with a plain replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, leave


def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATHS...", exists=True, show_default=False, help="The recording's files, in order."),
    ],
    *,
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", show_default=False, help="What kind of recording it is.")
    ],
    repeats_seed: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="Mix in repeats of updates, at random from this seed."),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            show_default=False,
            help="Spread the sessions over these regions, in a deployment that is made. One that is there already is "
            "used with all its regions without this.",
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Send a recording as updates, and compare what came of it with a replay in plain Python.

    A new data folder gets the format's schema; one with another schema is refused. Exit code 1 if node and plain
    replay do not agree exactly. Replaying the same files again changes nothing.

    Over several regions each session goes to one of them, in turn, and to all at once. They must end with the same, and
    every value must be what the updates that they answered as applied come to; else the exit code is 1.

    \b
    Examples:
      playerstate replay --format elite-journal Journal.*.log --data ./journals
      playerstate replay --format elite-journal Journal.*.log --data ./world --regions us-east-1,eu-west-1
    """  # noqa: D301 - \b keeps the lines of the examples
    from playerstate.cli.replaying import replay_through
    from playerstate.cli.replaying_regions import replay_over_regions
    from playerstate.deployment import Deployment
    from playerstate.replay import UnknownFormat, find_format

    try:
        recording = find_format(format_name)
    except UnknownFormat as exc:
        raise typer.BadParameter(str(exc), param_hint="--format") from exc
    names = [name.strip() for name in regions.split(",")] if regions is not None else []
    if names or Deployment(data).exists():
        agrees = replay_over_regions(data, names, recording, paths, repeats_seed=repeats_seed, as_json=as_json)
    else:
        agrees = replay_through(data, recording, paths, repeats_seed=repeats_seed, as_json=as_json)
    leave(ExitCode.DONE if agrees else ExitCode.REFUSED)
