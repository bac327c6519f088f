"""`playerstate worker`: a stage of a deployment on AWS, as a process."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from typing import Annotated, Literal

import typer

from playerstate.cli.common import ENDING_SIGNALS, AsJson, ExitCode, leave
from playerstate.errors import StartRefused


def worker(
    stage: Annotated[
        Literal["apply", "project", "link", "audit", "resolve", "recheck", "verify"],
        typer.Argument(
            metavar="STAGE", show_default=False, help="apply, project, link, audit, resolve, recheck, verify"
        ),
    ],
    *,
    url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="PLAYERSTATE_URL",
            show_default=False,
            help="The deployment, as aws://us-east-1/NAME.",
        ),
    ],
    lease_s: Annotated[
        float,
        typer.Option(
            min=1,
            max=3600,
            metavar="S",
            help="After how many seconds without a sign of life another worker's shards are taken over.",
        ),
    ] = 30.0,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="From which severity on to log.")
    ] = "info",
    as_json: AsJson = False,
) -> None:
    """Run a stage of a deployment on AWS until it is told to stop (Ctrl-C, SIGTERM).

    Any number of workers may run of a stage; whichever dies, others go on. Metrics go to standard output, as lines that
    CloudWatch reads, logs to standard error.

    Example: playerstate worker apply --url aws://us-east-1/player-consistency-prod
    """
    signals: SimpleQueue[int] = SimpleQueue()  # unlike an event's `set`, its `put` may interrupt anything
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda number, _frame: signals.put(number))  # for good: a stop may not be broken into

    from playerstate.cli.logs import LogLevel, configure_logging

    try:
        from playerstate.cli.working import work
    except ModuleNotFoundError as exc:
        raise StartRefused("A worker needs the extra `aws`: pip install 'playerstate[aws]'") from exc

    configure_logging(LogLevel(log_level), as_json=as_json)
    ended = work(stage, url, signals, lease_s=lease_s, as_json=as_json)
    leave(ExitCode.DONE if ended else ExitCode.REFUSED)
