"""What last-writer-wins has lost in the end: every update that it applied is looked for in what is left.

An update is *kept* on a key if the value there descends from it, or is as if it did. It was *overwritten* if it set
something (a register, a field of a map, a flag, a member of a set) that an update which had not seen it set as well,
and that one stayed: of two such updates one has to give way under any rules, so it is counted apart, and not as lost.
Anything else is *lost*: gold that was earned and is gone, a purchase that was never paid, a field that nobody touched
and that is as it was before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from playerstate.core.model import Identity, Json, Key, Op, Update
from playerstate.workload.last_writer_wins import LastWriterWins
from playerstate.workload.ledger import APPLIED, Overspent, values_after

GOLD = "gold"
PLACES_SET_WHOLE = frozenset({"position", "loadout", "status", "guild", "tutorial_done"})
EXAMPLES_MAX = 5


class Losses(msgspec.Struct):
    """What last-writer-wins came to.

    `lost` updates have lost their effect on at least one of their keys; `torn` are those of them that kept it on
    another: half a purchase. `overwritten` are not among them. Gold is what all players have together, held against the
    sum of all that was applied: `gold_gone` was earned and is not there, `gold_spent_twice` is there, or bought
    something, although it had been spent.
    """

    sent: int = 0
    applied: int = 0
    lost: int = 0
    torn: int = 0
    overwritten: int = 0
    gold_gone: int = 0
    gold_spent_twice: int = 0
    examples: list[str] = []


class Fate(Enum):
    """What became of an update on one of its keys."""

    KEPT = "kept"
    OVERWRITTEN = "overwritten"
    LOST = "lost"


def count_losses(model: LastWriterWins, region: str) -> Losses:
    """Count after `converge`, when it does not matter in which region one looks."""
    losses = Losses(sum(model.outcomes.values()), model.outcomes[APPLIED])
    for identity, booked in model.booked.items():
        fates = {key: fate_of(model, region, identity, key) for key in booked.before}
        if Fate.LOST in fates.values():
            losses.lost += 1
            losses.torn += Fate.KEPT in fates.values()
            if len(losses.examples) < EXAMPLES_MAX:
                where = ", ".join(str(key) for key, fate in fates.items() if fate is Fate.LOST)
                losses.examples.append(f"{identity.sequence} of {identity.producer}: {where}")
        elif Fate.OVERWRITTEN in fates.values():
            losses.overwritten += 1
    gold = {key: model.value(region, key) for key in model.written() if key.state_key == GOLD}
    applied = (booked.update for booked in model.booked.values())
    losses.gold_gone, losses.gold_spent_twice = gold_differences(gold, applied)
    return losses


def fate_of(model: LastWriterWins, region: str, identity: Identity, key: Key) -> Fate:
    """What became of an applied update on a key of its."""
    contained = model.contained(region, key)
    booked = model.booked[identity]
    if identity in contained or _is_as_if_applied(booked.update, key, model.value(region, key)):
        return Fate.KEPT
    concurrent = [model.booked[other].update for other in contained - booked.before[key]]
    settled = set().union(*(_places(update, key) or () for update in concurrent))
    places = _places(booked.update, key)
    return Fate.OVERWRITTEN if places is not None and places <= settled else Fate.LOST


def gold_differences(gold: Mapping[Key, Json], applied: Iterable[Update]) -> tuple[int, int]:
    """How much gold is missing, and how much too much, with all players' as the applied updates say."""
    exact: defaultdict[Key, int] = defaultdict(int)
    for update in applied:
        for op in update.ops:
            if op.state_key == GOLD:
                exact[op.key] += int(str(op.n)) if op.op == "add" else -int(str(op.n))
    over = [int(gold.get(key, 0)) - exact[key] for key in gold.keys() | exact.keys()]
    return sum(-n for n in over if n < 0), sum(n for n in over if n > 0)


def _is_as_if_applied(update: Update, key: Key, value: Json) -> bool:
    """Whether the update's operations on a key would change nothing more."""
    ops = [op for op in update.ops if op.key == key]
    try:
        after = values_after(Update(ops), lambda _: value)
    except Overspent:
        return False
    return bool(after[key] == value)


def _places(update: Update, key: Key) -> frozenset[str] | None:
    """What an update sets on a key, of which only one writer can have it; None if it adds to what is there."""
    places: set[str] = set()
    for op in update.ops:
        if op.key == key:
            found = _places_of(op)
            if found is None:
                return None
            places |= found
    return frozenset(places)


def _places_of(op: Op) -> frozenset[str] | None:
    if op.state_key in PLACES_SET_WHOLE:
        return frozenset({""})
    if isinstance(op.field, str):
        return frozenset({op.field})
    if isinstance(op.elements, list):
        return frozenset(op.elements)
    return None
