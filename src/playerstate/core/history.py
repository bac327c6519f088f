"""A player's history as it is answered: pages of what several logs recorded, merged and filtered. Pure.

Every log gives its latest entries first, and whole milliseconds: so what several of them gave is complete down to the
earliest time that all of them have reached, and a page ends there or before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from playerstate.core.model import Cause, Delivery, Reason, Status, Transition
from playerstate.errors import InvalidUpdate

DUPLICATE, RESOLVED = "duplicate", "resolved"
OUTCOMES = (*(str(status) for status in Status if status is not Status.DEAD), DUPLICATE, RESOLVED)
"""What a history can be asked for: outcomes of updates, repeats, and joins that resolved a conflict.

What became a dead letter is among those.
"""

REASONS = tuple(map(str, Reason))

Entry: TypeAlias = Transition | Delivery


class HistoryPage(msgspec.Struct, frozen=True):
    """A part of a player's history: what was written, and what came and did nothing, each the latest first.

    It goes on before the time `before` (ms); null says that this is all. `not_read` are the regions whose records, or
    some of them, could not be read, and why: what they wrote is missing here. `complete_since` says of each region that
    was read from which time on (ms) nothing of what it recorded has been let go; 0 if nothing ever was. `present` are,
    with a page that reaches up to now, the versions that the region's store has of the keys, and null if it cannot say:
    what they count and no transition tells of has been let go, or has yet to be recorded.
    """

    transitions: list[Transition]
    deliveries: list[Delivery] = []
    before: int | None = None
    not_read: dict[str, str] = {}
    complete_since: dict[str, int] = {}
    present: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self.transitions) + len(self.deliveries)


class Wanted(msgspec.Struct, frozen=True):
    """Which updates a history is asked for: of an outcome (see `OUTCOMES`, also `refused:insufficient`), of a producer.

    Raises `InvalidUpdate` if there is no such outcome.
    """

    outcome: str | None = None
    producer: str | None = None

    def __post_init__(self) -> None:
        if self.outcome is None:
            return
        outcome, colon, reason = self.outcome.partition(":")
        if colon and (outcome != Status.REFUSED or reason not in REASONS):
            raise InvalidUpdate(
                f"There is no outcome {self.outcome[:80]!r}; a reason stands behind refused: {', '.join(REASONS)}",
                code="unknown_outcome",
            )
        if outcome not in OUTCOMES:
            raise InvalidUpdate(
                f"There is no outcome {self.outcome[:80]!r}; there are {', '.join(OUTCOMES)}", code="unknown_outcome"
            )

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.outcome is None and self.producer is None

    def takes(self, cause: Cause) -> bool:
        """Whether an update that a write processed is wanted."""
        return self._is_of(cause.producer) and self.outcome in (None, str(cause.status), _told(cause))

    def takes_delivery(self, delivery: Delivery) -> bool:
        """Whether one that came and did nothing is."""
        named = DUPLICATE if delivery.outcome.duplicate else str(delivery.outcome.status)
        return self._is_of(delivery.producer) and self.outcome in (None, named)

    def takes_join(self, transition: Transition) -> bool:
        """Whether a write is wanted because it resolved a conflict."""
        return bool(transition.sides) and self.producer is None and self.outcome in (None, RESOLVED)

    def takes_transition(self, transition: Transition) -> bool:
        """Whether a write is wanted: one of its updates, or its joining."""
        return self.takes_join(transition) or any(self.takes(cause) for cause in transition.causes)

    def _is_of(self, producer: str) -> bool:
        return self.producer in (None, producer)


def at(entry: Entry) -> int:
    """When something happened, in ms."""
    return entry.written_at if isinstance(entry, Transition) else entry.judged_at


def page_of(entries: Sequence[Transition] | Sequence[Delivery], limit: int) -> tuple[list[Entry], int | None]:
    """What a log gave that was asked for `limit` entries, and where it goes on, if it may."""
    return list(entries), at(entries[-1]) if len(entries) >= limit else None


def merged(pages: Iterable[tuple[list[Entry], int | None]], limit: int) -> tuple[list[Entry], int | None]:
    """The pages of several logs as one: at least `limit` entries where there are so many, each once, the latest first,
    and all of the last one's millisecond; and where it goes on, if it may.
    """
    found: dict[tuple[object, ...], Entry] = {}
    reached: list[int] = []
    for entries, before in pages:
        for entry in entries:
            found.setdefault(_name(entry), entry)
        if before is not None:
            reached.append(before)
    complete_from = max(reached, default=None)
    ordered = sorted(found.values(), key=_latest_first)
    kept = [entry for entry in ordered if complete_from is None or at(entry) >= complete_from]
    if len(kept) > limit:
        last = at(kept[max(limit, 1) - 1])
        kept = [entry for entry in kept if at(entry) >= last]
    more = complete_from is not None or len(kept) < len(ordered)
    return kept, at(kept[-1]) if more and kept else None


def _name(entry: Entry) -> tuple[object, ...]:
    """What tells entries apart, whoever recorded them: a region's past may stand in its successor's log too."""
    if isinstance(entry, Transition):
        return entry.state_key, entry.region, entry.version
    return entry.state_key, entry.region, entry.position, entry.index, entry.producer, entry.sequence


def _latest_first(entry: Entry) -> tuple[int, int, str, str]:
    step = entry.last if isinstance(entry, Transition) else 0
    return -at(entry), -step, entry.state_key, entry.region


def _told(cause: Cause) -> str:
    return f"{cause.status}:{cause.reason}" if cause.reason else str(cause.status)
