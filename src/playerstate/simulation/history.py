"""What a run was seen to do from outside: what was acknowledged, what readers saw, what the stores held in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from playerstate.core.findings import VERIFIER, Finding
from playerstate.core.model import Cause, Key, Transition, Update
from playerstate.core.resolution import RESOLVER
from playerstate.core.retirement import RETIRER
from playerstate.core.schema import Schema

SimIdentity: TypeAlias = tuple[str, int, Key]
"""The identity of an update: producer, sequence, first key."""


def identity_of(update: Update) -> SimIdentity:
    """The identity of an update."""
    return update.producer, update.sequence, update.first_key


class Sent(NamedTuple):
    """An update that a region has acknowledged."""

    region: str
    update: Update

    @property
    def identity(self) -> SimIdentity:
        """The identity of the update."""
        return identity_of(self.update)


class Read(NamedTuple):
    """What a reader of a region's cache saw. `generation` rises whenever the cache has lost what it held of the key."""

    region: str
    key: Key
    generation: int
    version: str
    value: Any


class Committed(NamedTuple):
    """A cause that stands in a committed row of the region that wrote it.

    `epoch` is how often that row was erased. `knew` is what the region's store had of the key just before: the join of
    the vectors of all rows there, at least as much as the write was made of.
    """

    region: str
    key: Key
    cause: Cause
    epoch: int = 0
    knew: Mapping[str, int] = {}

    @property
    def identity(self) -> SimIdentity:
        """The identity of the update."""
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
    waiting: set[SimIdentity] = set()
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
    streamed: dict[str, list[Update]] = {}
    """By region, all that came on its stream, in order: repeats and erasures too."""
    reads: list[Read] = []
    committed: list[Committed] = []
    recorded: list[Committed] = []
    """The causes that the audit of each region tells of."""
    audits: dict[str, list[Transition]] = {}
    """By region, all that its audit holds."""
    late: list[tuple[str, Key]] = []
    """Region and key where an old view arrived late at a cache that had lost a newer one: only verification tells."""
    findings: list[Finding] = []
    """What verification found, in any region that lives."""
    gone: list[Gone] = []
    spent_last: list[SimIdentity] = []
    """The last tries to take away all that was left, after a retirement and once rights had been asked for."""
    at_rest: bool = True
    """Whether there was nothing left to do in the end."""
    finals: dict[str, dict[Key, Final]] = {}
    """By region, once everything has come to rest."""

    def processed(self) -> Iterator[Committed]:
        """What was committed because of updates."""
        return (
            committed for committed in self.committed if committed.cause.producer not in (RESOLVER, RETIRER, VERIFIER)
        )

    def all_streamed(self) -> Iterator[Update]:
        """What came on any region's stream."""
        return (update for updates in self.streamed.values() for update in updates)
