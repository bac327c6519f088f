"""`playerstate restore`: a backup becomes a data folder again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, confirmed, leave


def restore(
    backup: Annotated[
        Path, typer.Argument(metavar="BACKUP", show_default=False, help="What `playerstate backup` has made.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before what is in the folder is set aside.")] = False,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Make a data folder of a backup; of one region of several it is `DIR/REGION`.

    What is in the folder is kept beside it. The region comes back under a new name, `us-east-1` as `us-east-1.2`, for
    it does not know what it did after the backup was made; what other regions know of that comes back from them before
    it applies anything.

    Example: playerstate restore ./backups/monday --data ./data
    """
    from playerstate.cli import console
    from playerstate.cli.backup import BYTES_PER_MB
    from playerstate.cli.progress import progress
    from playerstate.restore import restore as restore_backup

    if not yes and data.exists() and not confirmed(f"What is in {data} is set aside. Restore {backup}?"):
        leave(ExitCode.REFUSED)
    with progress("checking the backup", as_json=as_json, unit="MB") as (advance, _):
        restored = restore_backup(backup, data, progress=lambda done, total: advance(done, total, done // BYTES_PER_MB))
    if as_json:
        aside = str(restored.set_aside) if restored.set_aside else None
        told = {"region": restored.region, "predecessor": restored.predecessor, "set_aside": aside}
        console.document(told)
        return
    console.say(f"{data} is the region {restored.region}, restored from a backup of {restored.predecessor}.")
    if restored.set_aside is not None:
        console.say(f"What was there before is in {restored.set_aside}.")
