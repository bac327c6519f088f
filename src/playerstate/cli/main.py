"""The program `playerstate`: its commands, and how it ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer

from playerstate.cli import aws, console, dead_letters, region, schema
from playerstate.cli.backup import backup
from playerstate.cli.bench import bench
from playerstate.cli.chaos import chaos
from playerstate.cli.common import AsJson, ExitCode, exit_code_of, leave
from playerstate.cli.cost import cost
from playerstate.cli.demo import demo
from playerstate.cli.erase import erase, export
from playerstate.cli.history import history
from playerstate.cli.put_right import set_value, undo
from playerstate.cli.read import get, watch
from playerstate.cli.replay import replay
from playerstate.cli.restore import restore
from playerstate.cli.send import send
from playerstate.cli.serve import serve
from playerstate.cli.settings import settings
from playerstate.cli.status import alarms, metrics, status
from playerstate.cli.verify import findings, verify
from playerstate.cli.vigil import vigil
from playerstate.cli.worker import worker
from playerstate.errors import PlayerStateError

PROGRAM = "playerstate"

app = typer.Typer(
    name=PROGRAM,
    help="Keeps multiplayer-game player state consistent: every update once, cache and graph in step, all remembered.",
    epilog="Try: playerstate send ada gold add 5, then playerstate get ada",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(as_json: bool) -> None:
    import playerstate

    if as_json:
        console.document({"version": playerstate.__version__})
    else:
        console.say(f"{PROGRAM} {playerstate.__version__}")


def _show_version(wanted: bool) -> None:
    if wanted:
        _version(as_json=False)
        leave(ExitCode.DONE)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def version(as_json: AsJson = False) -> None:
    """Show the version.

    Example: playerstate version --json
    """
    _version(as_json)


app.command()(serve)
app.command(context_settings={"ignore_unknown_options": True})(send)  # so that -5 is an amount
app.command()(get)
app.command()(watch)
app.command()(history)
app.command()(verify)
app.command()(findings)
app.command()(status)
app.command()(alarms)
app.command()(metrics)
app.command()(replay)
app.command()(demo)
app.command()(bench)
app.command()(chaos)
app.command()(cost)
app.command()(vigil)
app.command(name="set", context_settings={"ignore_unknown_options": True})(set_value)  # so that -5 is a value
app.command()(undo)
app.command()(erase)
app.command()(export)
app.command()(backup)
app.command()(restore)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(region.app, name="region")
app.add_typer(schema.app, name="schema")
app.add_typer(aws.app, name="aws")
app.command()(worker)
app.command()(settings)
app.command()(version)


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit code. What went wrong is told on standard error, as JSON if `--json` is given."""
    as_json = "--json" in arguments
    try:
        result = app(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as exc:
        if as_json:
            console.error_document({"error": {"code": "usage", "message": exc.format_message()}})
        else:
            exc.show()
        return ExitCode.USAGE
    except PlayerStateError as exc:
        console.report(exc, as_json=as_json)
        return exit_code_of(exc)
    return result if isinstance(result, int) else ExitCode.DONE


def main() -> None:
    """Run the command that the program was called with."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:])
    except OSError as exc:  # results that cannot be written: a full disk; drivers' errors are translated
        console.note(f"{PROGRAM}: {exc}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter flushes it once more
        code = ExitCode.UNAVAILABLE
    sys.exit(code)


if __name__ == "__main__":
    main()
