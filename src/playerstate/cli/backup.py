"""`playerstate backup`: a copy of a data folder, made while its node runs, or while none does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data

BYTES_PER_MB = 1_000_000


def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", show_default=False, help="The folder to make.")],
    *,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Copy the data folder to a new place. The node may run meanwhile, and nobody has to wait for it.

    The copy holds every update that was acknowledged before it was begun. It is there whole or not at all.

    Example: playerstate backup backups/monday
    """
    import msgspec

    from playerstate.backup import back_up
    from playerstate.cli import console
    from playerstate.cli.progress import progress

    with progress("backing up", as_json=as_json, unit="MB") as (advance, _):
        report = back_up(
            data, target, progress=lambda done, total: advance(done, max(done, total), done // BYTES_PER_MB)
        )
    size = sum(file.bytes for file in report.files.values())
    if as_json:
        console.document({"target": str(target), "bytes": size, **msgspec.to_builtins(report)})
    else:
        told = f"{report.rows:,} rows, {size / BYTES_PER_MB:,.1f} MB, up to change {report.last_change:,}"
        console.say(f"{target}: a backup of region {report.region}, {told}")
