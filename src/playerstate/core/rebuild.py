"""What the value of a key was, from its transitions alone: pure.

Numbers are added up. A counter, a bounded counter and an inventory are what they start with and what every applied
update of every region came to (see `Effect`), in whatever order; gifts and take-overs move rights and no value. After
an erasure the sum begins anew: only what rows of the last epoch say counts.

Of every other type the last write says it: its version covers what it was made of, so the transition whose version
covers all the others' has the value after it. Where no write had seen all others, regions may have shown different
values, and each is told.

Every update takes a step of its region, and every version says how many of each region's it contains. So what a history
lacks is known to the step, whether it has been let go, was never recorded, or lies where nobody could read it. A number
of which steps are missing is not added up: then the last write is all there is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from playerstate.core.model import ERASE, Cause, Effect, Json, Status, Transition
from playerstate.core.numbers import BigInt
from playerstate.core.schema import KeySpec
from playerstate.core.steps import Range, Steps
from playerstate.core.types import DATA_TYPES
from playerstate.core.version_vector import VersionVector, covers, format_vector, join, parse_vector

SUMMED_TYPES = frozenset({"counter", "bounded_counter", "inventory"})
"""The types whose value is a sum of what updates came to."""


class How(StrEnum):
    """What a rebuilt value is.

    UNWRITTEN: nothing had been written. SUMMED: added up from every update. LAST: as the last write says, or the last
    of each region alike. DIFFERED: the last writes had not seen each other, and came to different values.
    """

    UNWRITTEN = "unwritten"
    SUMMED = "summed"
    LAST = "last"
    DIFFERED = "differed"


class Share(msgspec.Struct):
    """What the applied updates of one region came to: how many they were, and the sum by item ("" without items)."""

    updates: int = 0
    sums: dict[str, BigInt] = {}


class Rebuilt(msgspec.Struct, frozen=True):
    """What transitions say that a key was, and what that rests on.

    `value` is null where the regions differed. `last` are the transitions that no other had seen, the latest first:
    one, or one of each of several regions. `shares` are what a sum adds up, by region. `missing` are the steps that
    versions name and no transition tells of, by region. `version` covers all that was known, and `erased` is the
    latest erasure.
    """

    how: How
    value: Json
    version: str = ""
    last: list[Transition] = []
    shares: dict[str, Share] = {}
    missing: dict[str, list[Range]] = {}
    erased: Transition | None = None


class Rebuild:
    """Takes in the transitions of one key, in any order, each as often as it comes; `result` says what they come to."""

    def __init__(self, spec: KeySpec) -> None:
        self._spec = spec
        self._data_type = DATA_TYPES[spec.type]
        self._vector: dict[str, int] = {}
        self._last: list[tuple[VersionVector, Transition]] = []
        self._begin(0)

    def add_all(self, transitions: Iterable[Transition]) -> None:
        """Take in transitions."""
        for transition in transitions:
            self.add(transition)

    def add(self, transition: Transition) -> None:
        """Take in a transition."""
        if transition.epoch > self._epoch:
            self._begin(transition.epoch)
        if transition.epoch < self._epoch:
            return
        vector = parse_vector(transition.version)
        self._vector = join(self._vector, vector)
        self._note_last(vector, transition)
        if transition.epoch and any(_erases(cause) for cause in transition.causes):
            self._erasures.append((vector, transition))
        for cause in transition.causes:
            self.count(transition.region, transition.epoch, cause)

    def count(self, region: str, epoch: int, cause: Cause) -> None:
        """Take in what one update did."""
        if epoch < self._epoch or not self._steps.add(region, cause.n):
            return
        deltas = [pair for effect in cause.effects for pair in self._deltas(effect)]
        if cause.status is not Status.APPLIED or not deltas:
            return
        share = self._shares.setdefault(region, Share(0, {}))
        share.updates += 1
        for item, delta in deltas:
            share.sums[item] = share.sums.get(item, 0) + delta

    def result(self, *, not_read: Collection[str] = (), complete_since: Mapping[str, int] | None = None) -> Rebuilt:
        """What it comes to. `not_read` are regions whose transitions, or some of them, could not be read;
        `complete_since` says from which time on (ms) those of each region are all here, and where it is not given, all
        that are kept of all the others are.
        """
        last = [transition for _, transition in self._last]
        last.sort(key=lambda transition: (-transition.written_at, transition.region))
        missing = self._steps.missing(self._vector, self._before_erasure(not_read, complete_since))
        if not last and not self._shares:
            how, value = How.UNWRITTEN, self._data_type.value(self._data_type.empty(), self._spec)
        elif self._spec.type in SUMMED_TYPES and not missing:
            how, value = How.SUMMED, self._summed()
        elif len({bytes(transition.after) for transition in last}) == 1:
            how, value = How.LAST, msgspec.json.decode(last[0].after)
        else:
            how, value = How.DIFFERED, None
        erased = max([t for _, t in self._erasures], key=lambda t: t.written_at, default=None)
        shares = dict(sorted(self._shares.items())) if how is How.SUMMED else {}
        return Rebuilt(how, value, format_vector(self._vector), last, shares, missing, erased)

    def behind(self, version: str, complete_since: Mapping[str, int] | None = None) -> dict[str, list[Range]]:
        """The steps that a version counts and that come after all that are known, by region: they were let go, or are
        yet to be recorded.
        """
        named = parse_vector(version)
        known = {region: self._steps.last(region) for region in named}
        return self._steps.missing(named, join(join(known, self._vector), self._before_erasure((), complete_since)))

    def _begin(self, epoch: int) -> None:
        """Forget what was erased, but for the steps that had been taken."""
        self._epoch = epoch
        self._steps = Steps()
        self._shares: dict[str, Share] = {}
        self._erasures: list[tuple[VersionVector, Transition]] = []
        self._last.clear()

    def _note_last(self, vector: VersionVector, transition: Transition) -> None:
        if any(covers(other, vector) for other, _ in self._last):
            return
        self._last = [(other, t) for other, t in self._last if not covers(vector, other)]
        self._last.append((vector, transition))

    def _before_erasure(self, not_read: Collection[str], complete_since: Mapping[str, int] | None) -> VersionVector:
        """The steps that need not be known, for they were erased: those that an erasure had seen, and, of a region of
        which all is known since then, those before its first in this epoch. Of another the first that is known need
        not be the first that there was.

        If no erasure is known, the history begins after it, and nothing of that can be told.
        """
        before: dict[str, int] = {}
        for vector, erasure in self._erasures:
            before = join(before, {**vector, erasure.region: erasure.first - 1})
        erased_at = min([erasure.written_at for _, erasure in self._erasures], default=-1)
        for region in self._vector.keys() - set(not_read):
            since = 0 if complete_since is None else complete_since.get(region)
            if since is None or since > erased_at:
                continue
            first = self._steps.first(region)
            before[region] = max(before.get(region, 0), self._vector[region] if first is None else first - 1)
        return before

    def _deltas(self, effect: Effect) -> Iterator[tuple[str, int]]:
        if self._spec.type not in SUMMED_TYPES or effect.op not in self._data_type.arguments:
            return
        if effect.deltas is not None:
            yield from effect.deltas.items()
        elif effect.delta is not None:
            yield effect.item or "", effect.delta

    def _summed(self) -> Json:
        """The value of a state in which every region's part is what its updates came to."""
        if self._spec.type == "inventory":
            return self._data_type.value({region: share.sums for region, share in self._shares.items()}, self._spec)
        state = {region: share.sums.get("", 0) for region, share in self._shares.items()}
        return self._data_type.value(state, self._spec)


def _erases(cause: Cause) -> bool:
    return any(effect.op == ERASE for effect in cause.effects)
