"""Backups: a copy of a data folder that holds a consistent state, made while its node runs, or while none does.

Every file is copied as it was at one moment. The moments follow one another at once, in an order in which what moves
from file to file meanwhile is found in one copy at least, and in which none speaks of what another does not have:

1. **checkpoints.** What apply and project had done by then is done in everything that is copied later; what they had
   not, a node that starts on the copy does again, and it stands being done twice.
2. **queues, then the history.** A notice leaves its queue once it is recorded. Findings, which nothing else speaks of.
3. **store.** After the history, so that this tells of no write that the copied rows do not have. Changes that project
   had not come to are in it.
4. **dead letters.** After the store, for a letter is written before what lies behind it on the stream is applied.
5. **stream.** Last: a letter that is sent again is on the stream before it goes; and what accept and apply number by
   the stream's positions is nowhere ahead of them, or the numbers would be used again.
6. **schema.** After the store, whose rows it must be able to read.

Apply and project let go of what they are done with, far behind their checkpoints. Should one have gone that far between
two of the moments, the copies are not whole, and are made anew.

Cache and graph are not copied. They are made from the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import msgspec

from playerstate.backends.sqlite.database import Database
from playerstate.backends.sqlite.snapshot import Snapshot
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.errors import BackupRefused, Unavailable
from playerstate.ports.store import Changes
from playerstate.ports.stream import Stream
from playerstate.runtime.clock import SystemClock
from playerstate.settings import FILE as SETTINGS_FILE

FORMAT_VERSION = 1
ABOUT_FILE = "backup.json"
TRIES_MAX = 3

_ABOUT_FOLDER = "folder.json"
_PLAIN_FILES = (_ABOUT_FOLDER, "schema.json", "game.toml")
_PLAIN_FILES_IF_ANY = (SETTINGS_FILE,)
_CHUNK_BYTES = 1024 * 1024

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes were copied or looked through, of how many."""


class BackedUpFile(msgspec.Struct, frozen=True):
    """One file of a backup."""

    bytes: int
    sha256: str


class BackupReport(msgspec.Struct, frozen=True):
    """What `backup.json` says. `rows` and `last_change` are the store's; `made_at` is in ms since 1970."""

    format: int
    region: str
    made_at: int
    version: str
    rows: int
    last_change: int
    files: dict[str, BackedUpFile]


class _Folder(msgspec.Struct):
    region: str


class _NotWhole(Exception):
    """A log has let go of what the copied checkpoints still ask for."""


def back_up(folder: Path, target: Path, *, progress: Progress = lambda _done, _total: None) -> BackupReport:
    """Copy a data folder to `target`, which must not be there yet; durable, and whole or not there.

    Raises `BackupRefused` if there is no data folder or the target exists, `Unavailable` if it cannot be written or the
    node goes on too fast, `InvariantViolated` if a file is damaged.
    """
    region = _region_of(folder)
    if os.path.lexists(target):
        raise BackupRefused(f"{target} is there already; a backup is made to a new place")
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".unfinished", dir=parent))
    except OSError as exc:
        raise BackupRefused(f"No backup can be made to {target}: {exc.strerror}") from exc
    try:
        for left in reversed(range(TRIES_MAX)):
            try:
                report = _copy(folder, work, region, progress)
                break
            except _NotWhole as exc:
                if not left:
                    raise Unavailable(f"The node let go of what the backup needed, {TRIES_MAX} times: {exc}") from exc
        if os.path.lexists(target):
            raise BackupRefused(f"{target} has come to be there meanwhile")
        work.rename(target)
        flush(parent)
    except OSError as exc:
        raise Unavailable(f"The backup {target} cannot be written: {exc.strerror}") from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def verify_backup(path: Path, *, progress: Progress = lambda _done, _total: None) -> BackupReport:
    """Compare a backup with what it says of itself, byte by byte.

    Raises `BackupRefused`, with what is wrong, if it is none, or is damaged, or a newer version has made it.
    """
    report = _read_report(path)
    total, done = sum(file.bytes for file in report.files.values()), 0
    wrong = [f"{name} does not belong to it" for name in sorted(_names(path) - report.files.keys() - {ABOUT_FILE})]
    for name, expected in report.files.items():
        digest = hashlib.sha256()
        size = 0
        try:
            for chunk in _chunks(path / name):
                digest.update(chunk)
                size += len(chunk)
                done += len(chunk)
                progress(done, total)
        except OSError as exc:
            wrong.append(f"{name} cannot be read ({exc.strerror})")
            continue
        if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
            wrong.append(f"{name} is not what it was ({size:,} bytes of {expected.bytes:,})")
    if wrong:
        raise BackupRefused(f"The backup {path} is damaged: {'; '.join(wrong)}")
    return report


def _copy(folder: Path, work: Path, region: str, progress: Progress) -> BackupReport:
    for old in work.iterdir():  # of a try before this one
        old.unlink()
    made_at = SystemClock().now_ms()
    queues = sorted(path.name for path in folder.glob("queue-*.db"))
    names = ["checkpoints.db", *queues, "audit.db", "findings.db", "store.db", "dead-letters.db", "stream.db"]
    with contextlib.ExitStack() as opened:
        snapshots = {name: opened.enter_context(Snapshot(folder / name)) for name in names}
        there = [name for name in _PLAIN_FILES_IF_ANY if (folder / name).exists()]
        plain = {name: _read(folder / name) for name in (*_PLAIN_FILES, *there)}
        done, total = 0, 2 * sum(snapshot.bytes for snapshot in snapshots.values())

        def advance(more: int) -> None:
            nonlocal done
            done += more
            progress(done, total)

        for name, snapshot in sorted(snapshots.items(), key=lambda item: item[1].bytes):
            snapshot.copy_to(work / name, copied=advance)
            snapshot.close()  # so that the file's write-ahead log need not grow any more
    for name, content in plain.items():
        (work / name).write_bytes(content)
    rows, last_change = _look(work)
    _mark_as_backup(work / "store.db", region)
    files = {name: _sealed(work / name, advance) for name in sorted(_names(work))}
    report = BackupReport(FORMAT_VERSION, region, made_at, version("playerstate"), rows, last_change, files)
    (work / ABOUT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    flush(work / ABOUT_FILE)
    flush(work)
    return report


def _look(work: Path) -> tuple[int, int]:
    """How many rows the copied store has, and its last change. Raises `_NotWhole` if a copied log has a gap."""
    with contextlib.ExitStack() as opened:
        checkpoints = SqliteCheckpoints(work / "checkpoints.db")
        opened.callback(checkpoints.close)
        stream = SqliteStream(work / "stream.db")
        opened.callback(stream.close)
        store = SqliteStore(work / "store.db")
        opened.callback(store.close)
        logs: list[tuple[str, Stream | Changes]] = [("apply", stream), ("project", store.changes)]
        for consumer, log in logs:
            position = checkpoints.load(consumer)
            following = log.read(position, 1)
            if log.head() > position and (not following or following[0].position > position + 1):
                raise _NotWhole(f"{consumer} had come to {position:,}, and what follows that is gone")
        last_change = store.changes.head()
    return _count_rows(work / "store.db"), last_change


def _count_rows(store_path: Path) -> int:
    database = Database(store_path, "store")
    try:
        return int(database.read("SELECT count(*) FROM rows")[0][0])
    finally:
        database.close()


def _mark_as_backup(store_path: Path, region: str) -> None:
    """Have the copied store belong to no region, so that it serves nobody until it is restored as a new one."""
    store = SqliteStore(store_path)
    try:
        store.rename(f"a backup of {region}")
    finally:
        store.close()


def _region_of(folder: Path) -> str:
    try:
        return msgspec.json.decode((folder / _ABOUT_FOLDER).read_bytes(), type=_Folder).region
    except (OSError, msgspec.DecodeError) as exc:
        raise BackupRefused(f"{folder} is no data folder: its {_ABOUT_FOLDER} cannot be read") from exc


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BackupRefused(f"{path} cannot be read: {exc.strerror}") from exc


def _read_report(path: Path) -> BackupReport:
    try:
        content = (path / ABOUT_FILE).read_bytes()
        made_as = msgspec.json.decode(content, type=dict[str, object]).get("format")
        if isinstance(made_as, int) and made_as > FORMAT_VERSION:
            raise BackupRefused(
                f"{path} was made by a newer version of playerstate (its format is {made_as}, this one knows up to "
                f"{FORMAT_VERSION})"
            )
        return msgspec.json.decode(content, type=BackupReport)
    except (OSError, msgspec.DecodeError) as exc:
        raise BackupRefused(f"{path} is no backup: its {ABOUT_FILE} cannot be read ({exc})") from exc


def _sealed(path: Path, advance: Callable[[int], None]) -> BackedUpFile:
    """A file of the copy, flushed to the disk."""
    flush(path)
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
        advance(len(chunk))
    return BackedUpFile(path.stat().st_size, digest.hexdigest())


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def flush(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, be on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
