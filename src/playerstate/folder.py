"""A node's data folder: who may use it, what it is called, which schema its state was written under."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from playerstate.core.schema import Schema, check_successor, format_schema, load_schema, parse_schema
from playerstate.errors import FolderInUse, SchemaRefused, StartRefused

FORMAT_VERSION = 1
DEFAULT_REGION = "local"
FOLDER_FILE = "folder.json"
GATEWAY_FILE = "gateway.json"
"""Of a folder without state: in it is the socket of a gateway to a deployment on AWS."""
SCHEMA_FILE = "schema.json"
"""The schema that the folder's state was written under."""

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class About(msgspec.Struct):
    """What `folder.json` says. `marker` is the folder's own, so that a cache can be known to belong to it.

    `stamped` says that the store has been given the region's name, so that a store without one is not its own.
    `predecessors` are the names that the region had before it was restored.
    """

    format: int
    region: str
    marker: str
    stamped: bool = False
    predecessors: list[str] = []


class DataFolder:
    """The folder, held by one node at a time until `close`.

    Raises `FolderInUse` if another node holds it, `StartRefused` if it cannot be used.
    """

    def __init__(self, path: Path, *, region: str | None = None) -> None:
        self.path = path
        self._lock = take_lock(path)
        try:
            if (path / GATEWAY_FILE).exists():
                raise StartRefused(f"{path} is a gateway's, and holds no state; `serve --url` starts the gateway")
            about = self._read_about(region)
        except BaseException:
            os.close(self._lock)
            raise
        self.about = about
        self.region = about.region
        self.marker = about.marker

    def schema(self, text: str | None = None) -> Schema:
        """The schema to run with: `text`, or the folder's own `game.toml`, or the starter's.

        It becomes the folder's. Raises `SchemaRefused` if it is wrong or does not fit the stored state.
        """
        own = self.path / "game.toml"
        if text is None:
            text = read_schema_file(own) if own.exists() else starter_schema()
        schema = parse_schema(text)
        kept = self.path / SCHEMA_FILE
        if kept.exists():
            check_successor(_read_kept_schema(kept), schema)
        write_file(kept, format_schema(schema))
        if not own.exists() or own.read_bytes() != text.encode():
            write_file(own, text.encode())
        return schema

    def note_stamped(self) -> None:
        """Remember that the store bears the region's name."""
        if not self.about.stamped:
            self.about = msgspec.structs.replace(self.about, stamped=True)
            write_about(self.path, self.about)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._lock)

    def _read_about(self, region: str | None) -> About:
        if not (self.path / FOLDER_FILE).exists():
            about = new_about(region or DEFAULT_REGION)
            check_region_name(about.region)
            write_about(self.path, about)
            return about
        about = read_about(self.path)
        if region is not None and region != about.region:
            raise StartRefused(f"{self.path} belongs to the region {about.region}, not to {region}")
        return about


def take_lock(path: Path) -> int:
    """Make the folder, and hold it for as long as the descriptor that this returns is open.

    Raises `FolderInUse` if another process holds it, `StartRefused` if it cannot be used.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StartRefused(f"The data folder {path} cannot be used: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise FolderInUse(f"Another node (process {holder}) runs on {path}") from exc
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def new_about(region: str, *, predecessors: Sequence[str] = (), stamped: bool = False) -> About:
    """What is said of a folder that begins."""
    return About(FORMAT_VERSION, region, secrets.token_hex(8), stamped, list(predecessors))


def read_about(folder: Path) -> About:
    """What is said of a folder. Raises `StartRefused` if that cannot be read."""
    file = folder / FOLDER_FILE
    try:
        raw = msgspec.json.decode(_read(file), type=dict)
        if raw.get("format", 0) > FORMAT_VERSION:
            raise StartRefused(
                f"{folder} was written by a newer version of playerstate (its format is {raw['format']}, this one "
                f"knows up to {FORMAT_VERSION})"
            )
        about: About = msgspec.convert(raw, About)
    except (msgspec.DecodeError, TypeError) as exc:
        raise StartRefused(f"{file} cannot be read: {exc}") from exc
    return about


def write_about(folder: Path, about: About) -> None:
    """Say it."""
    write_file(folder / FOLDER_FILE, msgspec.json.encode(about))


def check_region_name(name: str) -> None:
    """Raise `StartRefused` unless this can be a region's name: it stands in versions and in the names of files."""
    if not _REGION.fullmatch(name):
        raise StartRefused(f"{name!r} is no region: letters, digits, `.`, `_` and `-`")


def starter_schema() -> str:
    """The schema that a folder gets when none is given: a small game's."""
    return files("playerstate").joinpath("starter.toml").read_text("utf-8")


def read_schema_file(path: Path) -> str:
    """The text of a schema file.

    Raises `SchemaRefused`, naming the file, if it cannot be read or is not TOML.
    """
    try:
        text = path.read_text("utf-8")
        tomllib.loads(text)  # whoever parses the text does not know any more where it comes from
    except tomllib.TOMLDecodeError as exc:
        raise SchemaRefused(f"The schema {path} is not TOML: {exc}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SchemaRefused(f"The schema {path} cannot be read: {exc}") from exc
    return text


def _read_kept_schema(path: Path) -> Schema:
    try:
        return load_schema(_read(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise StartRefused(
            f"{path} cannot be read ({exc}); it says under which schema the state was written: restore it from a backup"
        ) from exc


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise StartRefused(f"{path} cannot be read: {exc.strerror}") from exc


def write_file(path: Path, data: bytes) -> None:
    """Replace a file at once and durably: a crash leaves the old one or the new one.

    Raises `StartRefused` if it cannot be written.
    """
    fresh = path.with_suffix(path.suffix + ".new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # of the name; until then a crash may bring back the old file
        finally:
            os.close(folder)
    except OSError as exc:
        raise StartRefused(f"{path} cannot be written: {exc.strerror}") from exc
