"""What a write changed of a value, as short as can be: of a large value only the part that is different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from playerstate.cli.console import shortened
from playerstate.core.model import Cause, Json, Transition

VALUE_SHOWN_MAX = 40
PARTS_SHOWN_MAX = 4
NONE = "none"


def steps_of(transition: Transition) -> list[str]:
    """What each update of a write made of the value, in their order, where that is a sum; otherwise nothing.

    Nothing came between the updates of one write, so their amounts lead from the value before to the one after.
    """
    before, after = (_amounts(_decoded(raw)) for raw in (transition.before, transition.after))
    if before is None or after is None:
        return []
    running, told = before, []
    for cause in transition.causes:
        deltas = _deltas(cause)
        if deltas is None:
            return []
        then = {item: running.get(item, 0) + deltas.get(item, 0) for item in running | deltas}
        told.append(change(_plain(running), _plain(then)))
        running = then
    return told if _plain(running) == _plain(after) else []


def change_of(transition: Transition) -> str:
    """What a write changed, all of its updates together."""
    return change(_decoded(transition.before), _decoded(transition.after))


def change(before: Json, after: Json) -> str:
    """From what to what."""
    if isinstance(before, dict) and isinstance(after, dict):
        return _listed(
            f"{name}: {_short(before.get(name, NONE))} → {_short(after.get(name, NONE))}"
            for name in sorted(before.keys() | after.keys())
            if before.get(name, NONE) != after.get(name, NONE)
        )
    if isinstance(before, list) and isinstance(after, list):
        gone = [f"-{_short(one)}" for one in before if one not in after]
        return _listed([*gone, *(f"+{_short(one)}" for one in after if one not in before)])
    return f"{_short(before)} → {_short(after)}" if before != after else f"= {_short(after)}"


def _listed(parts: Iterator[str] | Sequence[str]) -> str:
    """The first of several parts, and how many more there are."""
    told = list(parts)
    more = f", and {len(told) - PARTS_SHOWN_MAX} more" if len(told) > PARTS_SHOWN_MAX else ""
    return ", ".join(told[:PARTS_SHOWN_MAX]) + more or "as it was"


def _short(value: Json) -> str:
    exact = _exact(value)
    if exact is not None:
        return f"{exact:,}"
    text = value if value == NONE else msgspec.json.encode(value).decode()
    return shortened(text, VALUE_SHOWN_MAX)


def _decoded(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)


def _exact(value: Json) -> int | None:
    """A whole number, also one that JSON carries as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    return int(value) if len(digits) > 15 and digits.isascii() and digits.isdecimal() else None


def _amounts(value: Json) -> dict[str, int] | None:
    """A number, under "", or the numbers of items; None for anything else."""
    if isinstance(value, dict):
        exact = {item: n for item, one in value.items() if (n := _exact(one)) is not None}
        return exact if len(exact) == len(value) else None
    n = _exact(value)
    return None if n is None else {"": n}


def _plain(amounts: Mapping[str, int]) -> Json:
    """The number, or the items that there are."""
    return amounts[""] if "" in amounts else {item: n for item, n in amounts.items() if n}


def _deltas(cause: Cause) -> dict[str, int] | None:
    """What an update came to, by item; None where it is no sum."""
    deltas: dict[str, int] = {}
    for effect in cause.effects:
        if effect.deltas is None and effect.delta is None:
            return None
        one = {effect.item or "": effect.delta or 0} if effect.deltas is None else effect.deltas
        for item, delta in one.items():
            deltas[item] = deltas.get(item, 0) + delta
    return deltas
