"""The port that a recording's format implements, and how formats are found.

A format is a package of its own with an entry point in the group `playerstate.replay`, which names a class
without arguments that makes a `ReplayFormat`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

import msgspec

from playerstate.core.model import Identity, Json, Transition, Update
from playerstate.errors import PlayerStateError

ENTRY_POINT_GROUP = "playerstate.replay"
MALFORMED_LINES_MAX = 20


class UnknownFormat(PlayerStateError):
    """No replay format of that name is installed."""


class Source(msgspec.Struct):
    """What was found in the files.

    `ignored` are events that say nothing about state, `not_understood` those that ought to and could not be
    read; both by the event's name. Of the lines that are no events the first few are kept.
    """

    events: int = 0
    updates: int = 0
    ignored: dict[str, int] = {}
    not_understood: dict[str, int] = {}
    malformed: int = 0
    malformed_lines: list[str] = []

    def note_malformed(self, complaint: str) -> None:
        """Count a line that is no event."""
        self.malformed += 1
        if len(self.malformed_lines) < MALFORMED_LINES_MAX:
            self.malformed_lines.append(complaint)


class Intervals(msgspec.Struct):
    """Intervals between two snapshots of one kind of state; in how many the updates come to the next snapshot
    exactly.
    """

    exact: int = 0
    total: int = 0


class PlainResult(msgspec.Struct):
    """What comes of the updates in plain Python, written independently of the stages.

    `outcomes` are texts such as `applied` and `refused:insufficient`; `state` has every key of every player,
    with its type's empty value where nobody wrote it.
    """

    source: Source
    outcomes: dict[Identity, str]
    state: dict[str, dict[str, Json]]
    intervals: dict[str, Intervals]


class ReplayFormat(Protocol):
    """A kind of recording."""

    name: str

    def schema_text(self) -> str:
        """The `game.toml` that the updates need."""
        ...

    def read(self, paths: Sequence[Path]) -> Iterator[Update]:
        """The recording's updates in order, with producer and sequence but no time of sending.

        Producer and sequence follow from the files, so that reading them again gives the same identities.
        What cannot be read is left out; only a file that cannot be opened raises (`OSError`).
        """
        ...

    def plain_replay(self, paths: Sequence[Path]) -> PlainResult:
        """What has to come of these updates."""
        ...

    def snapshot_intervals(self, history: Iterable[Transition]) -> dict[str, Intervals]:
        """What a node's transitions say of the snapshots, by kind; those of one key come oldest first."""
        ...


def identity_of(update: Update) -> Identity:
    """What makes a retry of the update harmless."""
    return update.identity


def load_formats() -> dict[str, EntryPoint]:
    """The installed formats by name, not imported yet: one that is broken does not spoil the others."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def find_format(name: str) -> ReplayFormat:
    """The format of a name. Raises `UnknownFormat`, which lists those that are installed."""
    formats = load_formats()
    if name not in formats:
        installed = ", ".join(sorted(formats)) or "none"
        raise UnknownFormat(f"There is no replay format {name!r}; installed: {installed}")
    found: ReplayFormat = formats[name].load()()
    return found
