"""`playerstate bench`: what this machine can do."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import AsJson


def bench(
    *,
    seconds: Annotated[float, typer.Option(min=0.2, max=3600, help="How long to measure each thing.")] = 10.0,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Every update on a key of its own: nothing coalesces.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure throughput, freshness, reads and cost on this machine, in a temporary folder, for about 3 x SECONDS.

    With --json the last line is one object with updates_per_second, freshness_ms_p50, freshness_ms_p99 and the rest.

    Example: playerstate bench --seconds 10
    """
    import tempfile
    from pathlib import Path

    from playerstate.cli import console
    from playerstate.cli.bench_tables import show
    from playerstate.cli.logs import LogLevel, configure_logging
    from playerstate.workload.bench import run_bench

    configure_logging(LogLevel.WARNING, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="playerstate-bench-") as folder:
        report = run_bench(Path(folder), seconds=seconds, every_key_distinct=distinct, tell=console.note)
    if as_json:
        console.document(report)
    else:
        show(report)
