"""`playerstate aws`: what a deployment on AWS is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import AsJson

app = typer.Typer(help="Prepare a deployment on AWS.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def package(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", file_okay=False, help="Where the package goes; made if it is not there.")
    ] = Path("dist"),
    *,
    schema: Annotated[
        Path, typer.Option("--schema", metavar="PATH", show_default=False, help="The game's schema, such as game.toml.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make the zip of the Lambda functions, for python3.13 on arm64: the same inputs give the same bytes.

    Needs pip and a package registry, and no Docker.

    Example: playerstate aws package dist --schema game.toml
    """
    from playerstate.cli.packaging import make_package

    make_package(folder, schema, as_json=as_json)
