"""Retrace: an update as the history names it -> what it did to each key, and what was done there since.

It is found whole, or it is not found: the first key's record names the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from playerstate.core.findings import VERIFIER
from playerstate.core.model import ERASE, Cause, Identity, Key, Outcome, Status, Transition
from playerstate.core.pasts import Past, past_of
from playerstate.core.producers import RETENTION_MS, recall
from playerstate.core.replica import Replica
from playerstate.core.resolution import RESOLVER
from playerstate.core.retirement import RETIRER
from playerstate.core.schema import Schema
from playerstate.core.undoing import needs_guard
from playerstate.core.version_vector import parse_vector
from playerstate.core.wire import TIME_MAX_MS
from playerstate.errors import InvalidUpdate

SEARCHED_MAX = 10_000
"""How many writes of a key are looked through."""
PAGE = 200

History: TypeAlias = Callable[[Key, int | None, int], Sequence[Transition]]
"""A key's transitions, the latest first, those written before a time: so many, and the rest of the last millisecond."""


class Lagging(InvalidUpdate):
    """The history does not say it yet; it may in a moment."""


class Trace(NamedTuple):
    """What an update did to one key, and the key's transitions since then, without their values.

    `row` is the key as it stood when these were found to be all; nothing was looked at that came later.
    """

    past: Past
    since: list[Transition]
    row: Replica

    @property
    def region(self) -> str:
        """The region that applied it, whose transition is the last one looked at."""
        return self.since[-1].region


class Retrace:
    """Reads one history, that of the region whose name it has; or those of several, one after the other by time."""

    def __init__(self, schema: Schema, region: str, history: History) -> None:
        self._schema = schema
        self._region = region
        self._history = history

    def traces(
        self, identity: Identity, load: Callable[[Sequence[Key]], Mapping[Key, Replica]], now: int
    ) -> list[Trace]:
        """What the update did, key by key, the first one first. `load` gives the keys as they stand now (ms).

        Raises `InvalidUpdate` that says why it cannot be undone, `Lagging` if that may change in a moment.
        """
        key = Key(identity.player_id, identity.state_key)
        if identity.producer in (RESOLVER, RETIRER, VERIFIER):
            words = "Rights that were given or taken over, and rows that were written once more, are no updates"
            raise InvalidUpdate(words, code="cannot_be_undone")
        rows = dict(load([key]))
        first, cause, since = self._first(identity, key, rows[key])
        if cause.status is not Status.APPLIED:
            raise _not_applied(str(cause.status), cause.reason)
        if cause.others is None:
            raise InvalidUpdate("It is from before the history named all keys of an update", code="cannot_be_known")
        found = [(key, first, cause, since)]
        others = [Key(*other) for other in cause.others]
        rows.update(load(others))
        found += [(other, *self._other(identity, other, first.written_at, rows[other])) for other in others]
        for one, transition, _, later in found:
            self._check_whole(one, transition, later, rows[one], now)
        return [Trace(past_of(one, by, transition, later), later, rows[one]) for one, transition, by, later in found]

    def _first(self, identity: Identity, key: Key, row: Replica) -> tuple[Transition, Cause, list[Transition]]:
        since: list[Transition] = []
        part_of: tuple[str, str] | None = None
        for transition in self._walk(key):
            since.append(_without_values(transition))
            for cause in transition.causes:
                if (cause.producer, cause.sequence) == identity[:2]:
                    if cause.of is None:
                        return transition, cause, since
                    part_of = cause.of
        if part_of is not None:
            named = f"{part_of[0]} {part_of[1]} {identity.producer}#{identity.sequence}"
            raise InvalidUpdate(f"It is part of another key's update: undo {named}", code="not_found")
        raise self._absent(identity, key, row)

    def _other(
        self, identity: Identity, key: Key, written_at: int, row: Replica
    ) -> tuple[Transition, Cause, list[Transition]]:
        """All rows of an update are written at the same time."""
        since: list[Transition] = []
        for transition in self._walk(key):
            if transition.written_at < written_at:
                break
            since.append(_without_values(transition))
            for cause in transition.causes:
                if (cause.producer, cause.sequence, cause.of) == (*identity[:2], identity[2:]):
                    return transition, cause, since
        if row.epoch:
            raise _erased(key)
        raise Lagging(f"It changed {key} too, and the history there does not have it", code="history_incomplete")

    def _walk(self, key: Key) -> Iterator[Transition]:
        """A key's transitions, the latest first, until it was erased."""
        before, seen = None, 0
        while page := self._history(key, before, PAGE):
            for transition in page:
                yield transition
                if any(effect.op == ERASE for cause in transition.causes for effect in cause.effects):
                    raise _erased(key)
            seen += len(page)
            if len(page) < PAGE:
                return
            if seen >= SEARCHED_MAX:
                raise InvalidUpdate(f"It is not among the latest {SEARCHED_MAX:,} writes of {key}", code="not_found")
            before = page[-1].written_at

    def _absent(self, identity: Identity, key: Key, row: Replica) -> InvalidUpdate:
        """Why the history does not have it, as far as the row's memory knows."""
        message = f"The history of {key} does not have {identity.producer}#{identity.sequence}"
        known = recall(row.memory, identity.producer, identity.sequence, TIME_MAX_MS)
        if isinstance(known, Outcome) and known.duplicate:
            if known.status is not Status.APPLIED:
                return _not_applied(str(known.status), known.reason)
            by = [
                region
                for region, part in sorted(row.memory.items())
                if (seen := part.producers.get(identity.producer)) and seen.last >= identity.sequence
            ]
            if self._region in by:
                return Lagging(message, code="not_found")
            where = f"{' or '.join(by)} has applied it: undo it there, or put the value right with `set`"
            return InvalidUpdate(f"{message}; {where}", code="written_elsewhere")
        others = sorted(region for region in row.vector if region != self._region)
        if others:
            message += f"; what was applied in another region stands in the history there: {', '.join(others)}"
        return InvalidUpdate(message, code="not_found")

    def _check_whole(
        self, key: Key, transition: Transition, since: Sequence[Transition], row: Replica, now: int
    ) -> None:
        """Nothing has happened to the key since that would have to be known, and is not.

        Where an undo takes effect whatever happened since, that is an undo of the same, here, that its row may have
        forgotten.
        """
        if row.epoch != transition.epoch:
            raise _erased(key)
        guarded = needs_guard(self._schema.keys[key.state_key])
        if not guarded and transition.written_at >= now - RETENTION_MS:
            return
        told = {(one.region, cause.n) for one in since for cause in one.causes}
        then = parse_vector(transition.version)
        untold = [
            region
            for region, n in row.vector.items()
            if any((region, step) not in told for step in range(then.get(region, 0) + 1, n + 1))
        ]
        elsewhere = sorted(region for region in untold if region != self._region)
        if elsewhere and guarded:
            raise InvalidUpdate(
                f"{key} was written in {', '.join(elsewhere)} since, and what was done there is not known here; "
                "put the value right with `set`",
                code="written_elsewhere",
            )
        if self._region in untold:
            raise Lagging(f"The history of {key} does not tell all that was done since", code="history_incomplete")


def _without_values(transition: Transition) -> Transition:
    return msgspec.structs.replace(transition, before=msgspec.Raw(b""), after=msgspec.Raw(b""))


def _erased(key: Key) -> InvalidUpdate:
    return InvalidUpdate(f"{key} was erased since, and so was what it did", code="erased")


def _not_applied(status: str, reason: str | None) -> InvalidUpdate:
    told = f"{status}: {reason}" if reason else status
    return InvalidUpdate(f"It had no effect; it was {told}", code="not_applied")
