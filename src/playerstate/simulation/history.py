"""What a run was seen to do from outside: what was acknowledged, what readers saw, what the stores held in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from playerstate.core.model import Cause, Key, Update
from playerstate.core.schema import Schema


class Sent(NamedTuple):
    """An update that a region has acknowledged."""

    region: str
    update: Update


class Read(NamedTuple):
    """What a reader of a region's cache saw. `generation` rises whenever the cache has lost what it held of the key."""

    region: str
    key: Key
    generation: int
    version: str
    value: Any


class Committed(NamedTuple):
    """A cause that stands in a committed row of the region that wrote it."""

    region: str
    key: Key
    cause: Cause

    @property
    def identity(self) -> tuple[str, int, Key]:
        """The identity of the update: producer, sequence, first key."""
        of = self.cause.of
        return self.cause.producer, self.cause.sequence, Key(*of) if of else self.key


class Final(NamedTuple):
    """A key at the end: every region's rows by owner, and what readers of the store and of the cache see."""

    rows: Mapping[str, bytes]
    view: Any
    cached: Any
    """None for a key that the cache does not hold."""
    edges: list[str] | None
    """What the graph says that the key leads to; None for a key that makes no edges."""
    versions: Mapping[str, str] = {}
    """The versions of the rows, by owner."""


class Gone(msgspec.Struct):
    """A region that has died for good, its heir, and what of it the others can know."""

    region: str
    heir: str
    waiting: set[tuple[str, int, Key]] = set()
    """The updates on its stream that it had not come to."""
    reached: dict[Key, int] = {}
    """How many of its steps stood in rows that reached any other region, ever."""
    known: dict[Key, int] = {}
    """How many of them its heir knew of when it first took over rights of the key."""


class History(msgspec.Struct):
    """One run."""

    schema: Schema
    sent: list[Sent] = []
    unsure: list[Update] = []
    """What senders do not know to have been accepted, and have not sent again."""
    reads: list[Read] = []
    committed: list[Committed] = []
    recorded: list[Committed] = []
    """The causes that the audit of each region tells of."""
    stale_for_good: list[tuple[str, Key]] = []
    """Region and key where an old view arrived late at a cache that had lost a newer one: only verification tells."""
    gone: list[Gone] = []
    spent_last: list[tuple[str, int, Key]] = []
    """The last tries to take away all that was left, after a retirement and once rights had been asked for."""
    at_rest: bool = True
    """Whether there was nothing left to do in the end."""
    finals: dict[str, dict[Key, Final]] = {}
    """By region, once everything has come to rest."""
