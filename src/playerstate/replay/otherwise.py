"""Where a replay over regions is otherwise: than it was answered, and than the plain replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from playerstate.core.model import Identity, Json, Key, Status, Transition, Update
from playerstate.core.schema import KeySpec
from playerstate.replay.explain import Deed
from playerstate.replay.format import PlainResult

APPLIED = str(Status.APPLIED)
SUMMED = ("counter", "bounded_counter", "inventory")


class Differing(msgspec.Struct):
    """A key that ends otherwise than in the plain replay, and why that can be.

    `refused` are updates of it that have another outcome here, `worked_out` its applied snapshots, whose deltas depend
    on what the region knew; `regions` is how many regions wrote it without waiting for each other.
    """

    key: str
    here: Json
    plain: Json
    refused: int
    worked_out: int
    regions: int
    summed: bool

    @property
    def has_reason(self) -> bool:
        """Whether something can have made it different. Who wrote a sum, and when, makes no difference to it."""
        return bool(self.refused or self.worked_out or (self.regions > 1 and not self.summed))


def applied_otherwise(histories: Mapping[str, Sequence[Transition]], answered: Mapping[Identity, str]) -> Iterator[str]:
    """Updates that were applied by what was answered and not by the histories, or the other way round."""
    recorded: Counter[Identity] = Counter(
        Identity(cause.producer, cause.sequence, transition.player_id, transition.state_key)
        for history in histories.values()
        for transition in history
        for cause in transition.causes
        if cause.status is Status.APPLIED and cause.of is None
    )
    for identity, outcome in answered.items():
        times = recorded[identity]
        if times != (outcome == APPLIED):
            name = f"{identity.sequence} of {identity.producer} for {identity.player_id}/{identity.state_key}"
            yield f"update {name} was answered {outcome}, and the histories have it as applied {times} times"


def find_differing(
    specs: Mapping[str, KeySpec],
    state: Mapping[Key, Json],
    plain: PlainResult,
    updates: Mapping[Identity, Update],
    answered: Mapping[Identity, str],
    deeds: Mapping[Key, Sequence[Deed]],
) -> list[Differing]:
    """The keys that end otherwise than in the plain replay."""
    refused: Counter[Key] = Counter(
        key
        for identity, update in updates.items()
        if answered[identity] != plain.outcomes[identity]
        for key in {op.key for op in update.ops}
    )
    differing = []
    for key, value in state.items():
        elsewhere = plain.state[key.player_id][key.state_key]
        if value == elsewhere:
            continue
        its = deeds.get(key, [])
        summed = specs[key.state_key].type in SUMMED
        worked_out = sum(deed.op.op in ("set", "replace") for deed in its) if summed else 0
        by = len({deed.region for deed in its})
        differing.append(Differing(str(key), value, elsewhere, refused[key], worked_out, by, summed))
    return differing
