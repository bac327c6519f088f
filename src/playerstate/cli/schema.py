"""`playerstate schema`: a game's schema file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli import console
from playerstate.cli.common import AsJson

app = typer.Typer(help="Look after the game's schema.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", show_default=False, help="The schema, such as game.toml.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", file_okay=False, help="Also check that the state in this folder fits it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a schema declares, or what is wrong with it (exit code 1).

    Example: playerstate schema check game.toml --data ./data
    """
    from playerstate.cli.opening import check_data_folder
    from playerstate.cli.schema_tables import describe_schema, show_schema
    from playerstate.core.schema import check_successor, load_schema, parse_schema
    from playerstate.folder import SCHEMA_FILE, read_schema_file

    checked = parse_schema(read_schema_file(path))
    if data is not None:
        check_data_folder(data)
        check_successor(load_schema((data / SCHEMA_FILE).read_bytes()), checked)
    if as_json:
        console.document(describe_schema(checked))
    else:
        show_schema(checked)
