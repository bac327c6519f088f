"""What all commands share: their common options, and what their exit codes mean."""

from __future__ import annotations

import signal
from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from playerstate.errors import (
    BackupRefused,
    InvalidUpdate,
    PlayerStateError,
    PricesRefused,
    RegionRefused,
    SchemaRefused,
)

DEFAULT_DATA = Path("data")
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", envvar="PLAYERSTATE_DATA", file_okay=False, help="The data folder."),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="PLAYERSTATE_URL",
        show_default=False,
        help="A deployment on AWS, aws://us-east-1/NAME, instead of a data folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and errors as JSON.")]
PlayerId = Annotated[str, typer.Argument(metavar="PLAYER", show_default=False, help="The player's id.")]


class ExitCode(IntEnum):
    """What a command's end means.

    REFUSED: something was rejected or refused, or did not come out as it should. USAGE: the command was called
    wrongly. UNAVAILABLE: no node could answer, or it cannot be known what became of an update.
    """

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3


def leave(code: ExitCode) -> NoReturn:
    """End the command."""
    raise typer.Exit(code)


def confirmed(question: str) -> bool:
    """Whether somebody says yes; who is not there does not."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def exit_code_of(error: PlayerStateError) -> ExitCode:
    """The exit code that says what kind of error this is."""
    refused = isinstance(error, (BackupRefused, InvalidUpdate, PricesRefused, RegionRefused, SchemaRefused))
    return ExitCode.REFUSED if refused else ExitCode.UNAVAILABLE
