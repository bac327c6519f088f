"""The producer memory: what makes a repeated update harmless.

For every producer seen within the retention, a row remembers the last sequence, the gaps below it, and the sequences
that were not applied with the reason. It is filed by region like any part (see `types.contract`): a region writes only
its own, and asks all.

Two kinds of producer. A client's numbers its updates of a key 1, 2, 3, ...; a number it left out may still come. An
accept stage's own (its id begins with `@`) numbers all its updates of all keys in one rising line and never sends a
lower number after a higher one, so what it left out is no gap.

Everything is bounded. When a bound is reached the *floor* of the producer rises: what lies at or below it is no longer
remembered and answers `expired`. When a producer is forgotten, the part's *horizon* rises to the latest time at which
it had sent: an update from before the horizon that the part does not remember might be one of its, and answers
`expired` too.

An erasure forgets every producer, in every region's part, and so raises the horizons: what was sent before it answers
`expired`. Only erasers are kept, so that a repeated erasure does not erase what came after it.

Two regions may process the same update before they hear of each other: it took effect if either applied it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TypeAlias

import msgspec

from playerstate.core.model import Outcome, Status
from playerstate.core.types.shapes import join_parts
from playerstate.core.version_vector import VersionVector

OWN_PRODUCER_PREFIX = "@"
ERASER_PREFIX = "@erase:"
"""Of accept's own producers, those that only erase. Every erasure makes a memory forget all others."""

RETENTION_MS = 48 * 3600 * 1000
"""How long a producer is remembered that is no eraser: longer than any stream keeps a record."""
PRODUCERS_MAX = 256
GAPS_MAX = 16
REMEMBERED_REFUSALS_MAX = 32
ERASERS_MAX = 16


class Irregular(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a producer has beyond a plain line of applied sequences.

    `gaps` are inclusive ranges, ascending; `not_applied` maps a sequence to `status` or `status:reason`.
    """

    floor: int = 0
    gaps: list[tuple[int, int]] = []
    not_applied: dict[int, str] = {}


_REGULAR = Irregular()


class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One producer: its last sequence, the latest time (ms) it sent at, what is irregular if anything is."""

    last: int
    sent_at: int
    irregular: Irregular | None = None


class Part(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One region's memory: the horizon (ms) and the producers."""

    horizon: int = 0
    producers: dict[str, Seen] = {}


NOTHING = Part()

Memory: TypeAlias = Mapping[str, Part]
"""Region -> its part."""


class Novelty(Enum):
    """What kind of update this is, where it is no repeat."""

    NEXT = auto()
    LATE = auto()


class MemoryFull(Exception):
    """A producer that is new to the key finds no room. `part` is the memory that answers its repeats."""

    def __init__(self, part: Part) -> None:
        super().__init__("too many producers")
        self.part = part


def recall(memory: Memory, producer: str, sequence: int, sent_at: int) -> Novelty | Outcome:
    """What is known of an update: its outcome if it came before, otherwise whether it is next or late."""
    last = 0
    forgotten = False
    not_applied: list[str] = []
    for part in memory.values():
        before_horizon = sent_at <= part.horizon
        seen = part.producers.get(producer)
        if seen is None:
            forgotten |= before_horizon
            continue
        last = max(last, seen.last)
        if sequence > seen.last:
            # a later number was sent earlier: the clock was set back, and what lay before the horizon is forgotten
            forgotten |= before_horizon and seen.sent_at > part.horizon
            continue
        irregular = seen.irregular or _REGULAR
        if (code := irregular.not_applied.get(sequence)) is not None:
            not_applied.append(code)
        elif sequence <= irregular.floor:
            forgotten = True
        elif not any(low <= sequence <= high for low, high in irregular.gaps):
            return Outcome(Status.APPLIED, duplicate=True)
        else:
            forgotten |= before_horizon
    if forgotten:
        return Outcome(Status.EXPIRED)
    if not_applied:
        status, _, reason = min(not_applied).partition(":")
        return Outcome(Status(status), reason or None, duplicate=True)
    return Novelty.NEXT if sequence > last else Novelty.LATE


def remember(part: Part, producer: str, sequence: int, sent_at: int, outcome: Outcome, *, now: int) -> Part:
    """The region's memory after it processed an update that `recall` called next or late.

    A new producer makes those go that were not seen within the retention. Raises `MemoryFull` if none are.
    """
    seen = part.producers.get(producer)
    if seen is None:
        part = _forget_old(part, now - RETENTION_MS)
        if len(part.producers) >= PRODUCERS_MAX:
            raise MemoryFull(turned_away(part, sent_at))
        after = Seen(sequence, sent_at, _below_first(part, producer, sequence))
    elif sequence == seen.last + 1 or (sequence > seen.last and producer.startswith(OWN_PRODUCER_PREFIX)):
        after = Seen(sequence, max(sent_at, seen.sent_at), seen.irregular)
    else:
        after = _out_of_line(seen, sequence, sent_at)
    if outcome.status is not Status.APPLIED:
        after = _note(after, sequence, outcome)
    return Part(part.horizon, {**part.producers, producer: after})


def has_room(part: Part, producer: str, *, now: int) -> bool:
    """Whether `remember` would find room for the producer."""
    return producer in part.producers or len(_forget_old(part, now - RETENTION_MS).producers) < PRODUCERS_MAX


def turned_away(part: Part, sent_at: int) -> Part:
    """The memory after it found no room for an update of a new producer, whose repeats answer `expired`."""
    return Part(max(part.horizon, sent_at), part.producers)


def plain(part: Part) -> Part:
    """The memory without gaps and refusals, which then answer `expired`, and so never larger."""
    after = {}
    for producer, seen in part.producers.items():
        irregular = seen.irregular
        if irregular and (irregular.gaps or irregular.not_applied):
            seen = Seen(seen.last, seen.sent_at, _above(_last_irregular(irregular), [], {}))  # noqa: PLW2901
        after[producer] = seen
    return Part(part.horizon, after)


def forgotten(part: Part) -> Part:
    """What is left of a region's memory when the key is erased. It follows from the part alone, so that regions that
    hear of an erasure and of the part in any order end with the same.
    """
    erasers = {producer: seen for producer, seen in part.producers.items() if producer.startswith(ERASER_PREFIX)}
    return Part(max([part.horizon, *[seen.sent_at for seen in part.producers.values()]]), erasers)


def erased(memory: Memory, region: str, eraser: str, sequence: int, at: int) -> dict[str, Part]:
    """The memory after a region erased the key, at the time `at` (ms): nothing sent until then takes effect any more.

    The eraser is remembered without what is below its sequence: whatever comes of that has come before.
    """
    after = {owner: forgotten(part) for owner, part in memory.items()}
    own = after.get(region, NOTHING)
    erasers = {**own.producers, eraser: Seen(sequence, at)}
    latest = sorted(erasers, key=lambda producer: erasers[producer].sent_at)[-ERASERS_MAX:]
    after[region] = Part(max(own.horizon, at), {producer: erasers[producer] for producer in latest})
    return after


def horizon(memory: Memory) -> int:
    """The latest time (ms) until which some region has forgotten what was sent."""
    return max([part.horizon for part in memory.values()], default=0)


def erased_at(memory: Memory) -> int:
    """When (ms) an erased key was erased last. Erasers are not forgotten, horizons rise for other reasons too."""
    erasers = [
        seen.sent_at
        for part in memory.values()
        for producer, seen in part.producers.items()
        if producer.startswith(ERASER_PREFIX)
    ]
    return max(erasers, default=horizon(memory))


def known(memory: Memory) -> set[str]:
    """The producers that any region remembers."""
    return {producer for part in memory.values() for producer in part.producers}


def join(a: Memory, a_vector: VersionVector, b: Memory, b_vector: VersionVector) -> dict[str, Part]:
    """By parts, as every part is joined."""
    return join_parts(a, a_vector, b, b_vector)


def _below_first(part: Part, producer: str, sequence: int) -> Irregular | None:
    """What is to be said of the sequences below the first one that the region meets.

    A client's may still be on their way, here or in another region; the horizon answers for those that came
    before the producer was forgotten. Accept's own come in order, so they are repeats, of what only a
    forgotten producer knew.
    """
    if sequence == 1:
        return None
    if not producer.startswith(OWN_PRODUCER_PREFIX):
        return Irregular(gaps=[(1, sequence - 1)])
    return Irregular(floor=sequence - 1) if part.horizon else None


def _forget_old(part: Part, before: int) -> Part:
    """Without the producers not seen since, but for erasers: a stream of any age may deliver an erasure again."""
    kept = {
        producer: seen
        for producer, seen in part.producers.items()
        if seen.sent_at >= before or producer.startswith(ERASER_PREFIX)
    }
    gone = [seen.sent_at for producer, seen in part.producers.items() if producer not in kept]
    return Part(max([part.horizon, *gone]), kept)


def _out_of_line(seen: Seen, sequence: int, sent_at: int) -> Seen:
    """After a sequence that opens a gap above the last one, or fills one below it."""
    irregular = seen.irregular or _REGULAR
    if sequence > seen.last:
        gaps = [*irregular.gaps, (seen.last + 1, sequence - 1)]
    else:
        gaps = []
        for low, high in irregular.gaps:
            if low <= sequence <= high:
                gaps += [(start, end) for start, end in ((low, sequence - 1), (sequence + 1, high)) if start <= end]
            else:
                gaps.append((low, high))
    floor = irregular.floor
    while len(gaps) > GAPS_MAX:
        floor = gaps.pop(0)[1]
    return Seen(max(seen.last, sequence), max(seen.sent_at, sent_at), _above(floor, gaps, irregular.not_applied))


def _note(seen: Seen, sequence: int, outcome: Outcome) -> Seen:
    irregular = seen.irregular or _REGULAR
    code = f"{outcome.status}:{outcome.reason}" if outcome.reason else str(outcome.status)
    not_applied = {**irregular.not_applied, sequence: code}
    floor = irregular.floor
    if len(not_applied) > REMEMBERED_REFUSALS_MAX:
        floor = max(floor, min(not_applied))
    return Seen(seen.last, seen.sent_at, _above(floor, irregular.gaps, not_applied))


def _last_irregular(irregular: Irregular) -> int:
    return max([irregular.floor, *(high for _, high in irregular.gaps), *irregular.not_applied])


def _above(floor: int, gaps: list[tuple[int, int]], not_applied: Mapping[int, str]) -> Irregular | None:
    kept_gaps = [(max(low, floor + 1), high) for low, high in gaps if high > floor]
    kept = {sequence: code for sequence, code in not_applied.items() if sequence > floor}
    return Irregular(floor, kept_gaps, kept) if floor or kept_gaps or kept else None
