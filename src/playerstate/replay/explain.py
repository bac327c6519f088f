"""What the histories of all regions say that a key's value must be: promise 9 as a check, worked out in plain Python.

It shares no code with the data types. Amounts are summed; what sets, removes or enables something stands until an
operation that had seen it takes its place. Whether one operation had seen another follows from versions alone: a write
had seen the steps of other regions that its version counts, and all earlier ones of its own. It does not say which of
several concurrent values of a register readers see, only that it must be one of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from playerstate.core.model import Effect, Identity, Json, Key, Op, Status, Transition, Update
from playerstate.core.numbers import to_json_number
from playerstate.core.schema import KeySpec
from playerstate.core.version_vector import parse_vector

THE_NUMBER = ""
"""The one name under which a number, unlike an inventory's, is summed."""
SHOWN_MAX = 200

REMOVALS = ("remove", "disable")

Amounts: TypeAlias = dict[str, dict[Identity, int]]
"""Item -> update -> what it added in all."""


class Deed(NamedTuple):
    """One operation that was applied, with what it did: step `n` of `region`, which had seen so much of the others."""

    identity: Identity
    op: Op
    effect: Effect
    region: str
    n: int
    seen: Mapping[str, int]


def deeds_in(histories: Iterable[Transition], updates: Mapping[Identity, Update]) -> dict[Key, list[Deed]]:
    """What was done, by key. What updates did that are not among `updates` is left out."""
    deeds: defaultdict[Key, list[Deed]] = defaultdict(list)
    for transition in histories:
        key = Key(transition.player_id, transition.state_key)
        version = parse_vector(transition.version)
        for cause in transition.causes:
            identity = Identity(cause.producer, cause.sequence, *(cause.of or key))
            if cause.status is not Status.APPLIED or identity not in updates:
                continue
            update = updates[identity]
            seen = {**version, transition.region: cause.n - 1}
            if update.seen is not None and key == update.first_key:
                seen = parse_vector(update.seen)
            ops = [op for op in update.ops if op.key == key]
            for op, effect in zip(ops, cause.effects, strict=True):
                deeds[key].append(Deed(identity, op, effect, transition.region, cause.n, seen))
    return deeds


def amounts(deeds: Iterable[Deed]) -> Amounts:
    """What the operations of a counter or an inventory added.

    Of `set` and `replace` the history says what they came to; of the others the operations say it themselves.
    """
    found: defaultdict[str, Counter[Identity]] = defaultdict(Counter)
    for deed in deeds:
        for item, n in _deltas(deed).items():
            found[item][deed.identity] += n
    return {item: dict(by_update) for item, by_update in found.items()}


def unexplained(spec: KeySpec, deeds: Iterable[Deed], value: Json) -> str | None:
    """What is wrong with a value, by the operations on its key; None if they explain it."""
    possible = _RULES[spec.type](spec, list(deeds))
    fits = _chosen_by_field(possible[0], value) if spec.type == "map" else _is_one_of(possible, value)
    if fits:
        return None
    return f"is {_shown(value)}, and its updates come to {' or '.join(_shown(one) for one in possible[:3])}"


def standing(deeds: Iterable[Deed]) -> list[Deed]:
    """Those that nobody who had seen them has followed; in the order of regions and steps."""
    latest = {(deed.region, deed.n): deed for deed in deeds}  # of one update's several, the last
    known: Counter[str] = Counter()
    for deed in latest.values():
        known |= Counter(deed.seen)
    return [deed for (region, n), deed in sorted(latest.items()) if known[region] < n]


def _deltas(deed: Deed) -> dict[str, int]:
    op, effect = deed.op, deed.effect
    if op.op == "replace":
        return dict(effect.deltas or {})
    n = int(effect.delta or 0) if op.op == "set" else int(str(op.n))
    return {op.item if isinstance(op.item, str) else THE_NUMBER: -n if op.op == "subtract" else n}


def _number(spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    start = spec.start if spec.type == "bounded_counter" else 0
    return [to_json_number(start + sum(amounts(deeds).get(THE_NUMBER, {}).values()))]


def _items(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    totals = {item: sum(by_update.values()) for item, by_update in amounts(deeds).items()}
    return [{item: to_json_number(n) for item, n in totals.items() if n}]


def _best(best: Callable[[list[int]], int]) -> Callable[[KeySpec, list[Deed]], list[Json]]:
    return lambda _spec, deeds: [to_json_number(best([int(str(deed.op.value)) for deed in deeds])) if deeds else None]


def _one_of(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    return [deed.op.value for deed in standing(deeds)] or [None]


def _all_of(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    return [[deed.op.value for deed in standing(deeds)]]


def _switch(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    return [any(deed.op.op == "enable" for deed in standing(deeds))]


def _members(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    by_element: defaultdict[str, list[Deed]] = defaultdict(list)
    for deed in deeds:
        for element in deed.op.elements if isinstance(deed.op.elements, list) else ():
            by_element[element].append(deed)
    return [sorted(element for element, its in by_element.items() if _standing_additions(its))]


def _fields(_spec: KeySpec, deeds: list[Deed]) -> list[Json]:
    """The values that each field may have, in place of the one value of each."""
    by_field: defaultdict[str, list[Deed]] = defaultdict(list)
    for deed in deeds:
        by_field[str(deed.op.field)].append(deed)
    standing_by_field = {field: _standing_additions(its) for field, its in by_field.items()}
    return [{field: [deed.op.value for deed in its] for field, its in standing_by_field.items() if its}]


def _standing_additions(deeds: Iterable[Deed]) -> list[Deed]:
    return [deed for deed in standing(deeds) if deed.op.op not in REMOVALS]


def _chosen_by_field(possible: dict[str, list[Json]], value: dict[str, Json]) -> bool:
    return possible.keys() == value.keys() and all(_is_one_of(its, value[field]) for field, its in possible.items())


def _is_one_of(possible: Iterable[Json], value: Json) -> bool:
    return any(_text(value) == _text(one) for one in possible)


def _text(value: Json) -> bytes:
    return msgspec.json.encode(value, order="sorted")  # as text, for to Python true is 1


def _shown(value: Json) -> str:
    text = _text(value).decode()
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


_RULES: dict[str, Callable[[KeySpec, list[Deed]], list[Json]]] = {
    "counter": _number,
    "bounded_counter": _number,
    "inventory": _items,
    "max_register": _best(max),
    "min_register": _best(min),
    "register": _one_of,
    "multi_register": _all_of,
    "flag": _switch,
    "set": _members,
    "map": _fields,
}
"""The values that a key may have, by its type and what was done to it."""
