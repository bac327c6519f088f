"""Restoring: a backup becomes a region again, under a new name.

The store of a backup does not know what its region did afterwards. Under the same name it would hand out dots a second
time, for other updates, and other regions would take them for those that they have. So a restored region is a new
incarnation (`us-east-1`, then `us-east-1.2`); the one before it is retired, and this one is its heir. What the others
have of it comes back from them before anything is applied (see `neighbourhood`). The cache is filled anew as it is
read, and the graph is made from the rows.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backup import ABOUT_FILE, BackupReport, Progress, flush, verify_backup
from playerstate.core.images import Images
from playerstate.core.model import Key
from playerstate.core.schema import Schema, load_schema
from playerstate.deployment import Deployment
from playerstate.errors import BackupRefused, Unavailable
from playerstate.folder import SCHEMA_FILE, About, DataFolder, new_about, read_about, write_about, write_file
from playerstate.neighbourhood import RESTORED_FILE
from playerstate.runtime.clock import SystemClock
from playerstate.stages.link import Link

KEYS_AT_ONCE = 500

_INCARNATION = re.compile(r"(.+?)(?:\.(\d+))?")


class Restored(NamedTuple):
    """What came of it: the region, the one that it was before, and where what had been in the folder is now."""

    region: str
    predecessor: str
    set_aside: Path | None


def restore(backup: Path, folder: Path, *, progress: Progress = lambda _done, _total: None) -> Restored:
    """Make a data folder of a backup. What is in the folder is set aside, beside it.

    Raises `BackupRefused` if the backup is damaged or another region's, `FolderInUse` if a node runs on the folder,
    `Unavailable` if it cannot be written.
    """
    report = verify_backup(backup, progress=progress)
    deployment = Deployment.around(folder)
    with contextlib.ExitStack() as held:
        if (folder / "folder.json").exists():
            held.callback(DataFolder(folder).close)
        elif folder.exists() and any(folder.iterdir()):
            raise BackupRefused(f"{folder} is no data folder, and not empty")
        names = _names(report, backup, folder, deployment)
        predecessor = names[-1]
        region = next_incarnation(report.region, [*names, *(deployment.plan().regions if deployment else ())])
        aside = _free_name(folder, region) if folder.exists() else None
        about = new_about(region, predecessors=names, stamped=True)
        try:
            work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".unfinished", dir=folder.absolute().parent))
            try:
                _make(backup, report, work, about)
                if deployment is not None:
                    # before the folder: whatever happens from here on, nothing is served under the old name again
                    _plan(deployment, predecessor, about)
                if aside is not None:
                    folder.rename(aside)
                try:
                    work.rename(folder)
                except OSError:
                    if aside is not None:
                        aside.rename(folder)
                    raise
                flush(folder.absolute().parent)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as exc:
            raise Unavailable(f"{folder} cannot be restored: {exc.strerror}") from exc
    return Restored(region, predecessor, aside)


def _plan(deployment: Deployment, predecessor: str, about: About) -> None:
    now = SystemClock().now_ms()
    deployment.change(lambda plan: plan.with_successor(predecessor, about.region, marker=about.marker, at=now))


def _free_name(folder: Path, region: str) -> Path:
    """Where what is in the folder goes."""
    aside = folder.with_name(f"{folder.name}.before-{region}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}-again")
    return aside


def next_incarnation(region: str, known: Collection[str]) -> str:
    """The name that a region comes back under: the next that nobody has had."""
    base, _ = _split(region)
    numbers = [number for number_of, number in map(_split, [region, *known]) if number_of == base]
    return f"{base}.{max(numbers) + 1}"


def _split(region: str) -> tuple[str, int]:
    found = _INCARNATION.fullmatch(region)
    if found is None:
        raise BackupRefused(f"{region!r} is no region")
    return found[1], int(found[2] or 1)


def _names(report: BackupReport, backup: Path, folder: Path, deployment: Deployment | None) -> list[str]:
    """The names that the region has had, the last at the end."""
    names = [*read_about(backup).predecessors, report.region]
    if deployment is not None:
        there = deployment.plan().of_folder(folder.absolute().name)
        now = [] if there is None else [there]
    elif (folder / "folder.json").exists():
        about = read_about(folder)
        now = [*about.predecessors, about.region]
    else:
        now = []
    if now and _split(now[-1])[0] != _split(report.region)[0]:
        raise BackupRefused(f"{backup} is a backup of {report.region}, and {folder} is {now[-1]}'s")
    if deployment is not None and not now:
        raise BackupRefused(f"{folder} is no living region's; `playerstate region list` tells which there are")
    return list(dict.fromkeys([*names, *now]))


def _make(backup: Path, report: BackupReport, work: Path, about: About) -> None:
    region = about.region
    for name in report.files.keys() - {ABOUT_FILE, "folder.json"}:
        shutil.copyfile(backup / name, work / name)
    store = SqliteStore(work / "store.db")
    try:
        store.rename(region)
        schema = load_schema((work / SCHEMA_FILE).read_bytes())
        graph = LadybugGraph(work / "graph", schema)
        try:
            for keys in _pages(store):
                _link(schema, region, store, graph, keys)
        finally:
            graph.close()
    finally:
        store.close()
    write_about(work, about)
    write_file(work / RESTORED_FILE, msgspec.json.encode({"backup": str(backup.absolute()), "made_at": report.made_at}))
    for path in sorted(work.rglob("*")):
        flush(path)
    flush(work)


def _pages(store: SqliteStore) -> Iterator[list[Key]]:
    after: Key | None = None
    while keys := store.keys(after, KEYS_AT_ONCE):
        yield keys
        after = keys[-1]


def _link(schema: Schema, region: str, store: SqliteStore, graph: LadybugGraph, keys: list[Key]) -> None:
    images, link = Images(schema, kept_max=KEYS_AT_ONCE), Link(schema, graph)
    edges = schema.edge_keys()
    notices = []
    for key, rows in store.load([key for key in keys if key.state_key in edges]).items():
        view = images.view(key, [images.read(key.state_key, body) for body in rows.values()])
        notices.append(images.notice_of_view(view, region))
    link.handle(notices)
