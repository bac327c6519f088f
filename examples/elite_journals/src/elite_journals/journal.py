"""Journals as files: the game's own (`Journal.*.log`), and collections of them as JSON lines.

Either way a line is one event. The game's own file is one session and names its commander in an event; a line
of a collection says whose and which session's it is: `{"fid": ..., "file": ..., "ev": {...}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from elite_journals.changes import Event


class Entry(NamedTuple):
    """One event: whose, in which session, and what."""

    player_id: str
    session: str
    event: Event


class Malformed(Exception):
    """A line is no event."""


def read_entries(paths: Sequence[Path], on_malformed: Callable[[str], None]) -> Iterator[Entry]:
    """The events of files in their order; a file that is given twice is read once.

    Lines that are no events are told to `on_malformed`, with file and line number, and left out. Raises
    `OSError` for a file that cannot be read.
    """
    for path in dict.fromkeys(path.resolve() for path in paths):
        commander: str | None = None
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    data = _object(line)
                    if "event" in data:
                        commander = commander or _commander(path)
                        data = {"fid": commander, "file": path.name, "ev": data}
                    yield _entry(data)
                except Malformed as exc:
                    on_malformed(f"{path.name}:{number}: {exc}")


def _entry(data: dict[str, Any]) -> Entry:
    player_id, session, event = data.get("fid"), data.get("file"), data.get("ev")
    if not isinstance(player_id, str) or not isinstance(session, str):
        raise Malformed("it does not say whose event it is, and of which session")
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise Malformed("there is no event")
    return Entry(player_id, session, event)


def _commander(path: Path) -> str:
    """The commander whose file it is. Some events come before the one that says so."""
    with path.open("rb") as lines:
        for line in lines:
            if b'"FID"' in line:
                try:
                    fid = _object(line).get("FID")
                except Malformed:
                    continue
                if isinstance(fid, str):
                    return fid
    raise Malformed("the file does not say whose it is")


def _object(line: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise Malformed(f"not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise Malformed("not an object")
    return data
