"""`playerstate vigil`: what verification makes of a load, with and without planted disagreements."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import AsJson, leave


def vigil(
    *,
    seconds: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="How long the load lasts at least.")] = 60.0,
    rate: Annotated[int, typer.Option(min=1, help="How many updates a second are sent.")] = 2550,
    plant: Annotated[int, typer.Option(min=0, max=50, help="How many disagreements of each kind are planted.")] = 1,
    one_region: Annotated[bool, typer.Option("--one-region", help="One region instead of two.")] = False,
    lag_ms: Annotated[int, typer.Option(min=0, max=60_000, help="How long rows take between the regions.")] = 0,
    parted_s: Annotated[
        float,
        typer.Option(min=0.0, help="For how long nothing passes between the regions, from a third of the time on."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Run a steady load in a temporary folder, change cache, graph and stores by hand, and see what verification finds.

    Everything that was planted has to be found, called what it is, and put right, and nothing else may be found. With
    --plant 0 nothing may be found at all, whatever lags. The exit code is 1 if it was otherwise.

    \b
    Examples:
      playerstate vigil --seconds 60
      playerstate vigil --plant 0 --seconds 600 --lag-ms 3000 --parted-s 30
    """  # noqa: D301 - \b keeps the lines of the examples
    import signal
    import sys
    import tempfile
    from pathlib import Path

    from playerstate.cli import console
    from playerstate.cli.common import ExitCode
    from playerstate.cli.logs import LogLevel, configure_logging
    from playerstate.cli.vigil_tables import show
    from playerstate.trials.vigil import keep_vigil
    from playerstate.trials.vigil_report import VigilOptions

    configure_logging(LogLevel.ERROR, as_json=as_json)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that what was started is ended
    options = VigilOptions(seconds, rate, plant, not one_region, lag_ms, parted_s)
    with tempfile.TemporaryDirectory(prefix="playerstate-vigil-") as folder:
        report = keep_vigil(Path(folder), options, tell=console.note)
    if as_json:
        console.document(report)
    else:
        show(report)
    leave(ExitCode.DONE if report.ok else ExitCode.REFUSED)
