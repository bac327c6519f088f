"""What the history says of one key of an update: what it did there, and what was done around it, pure.

Values are recorded before and after each write, which may have applied several updates; what each did is recorded too,
but no value between two of them. What that leaves open is refused as `cannot_be_known`, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from playerstate.core.findings import VERIFIER
from playerstate.core.model import ERASE, Cause, Effect, Json, Key, Status, Transition
from playerstate.core.version_vector import parse_vector
from playerstate.errors import InvalidUpdate

REMOVALS = ("remove", "disable")
THE_FLAG = ""
"""The name under which a flag's effects speak of it."""

Touches: TypeAlias = Callable[[Effect], bool]
"""Whether an operation speaks of the thing in question."""


class Past(NamedTuple):
    """What an update did to one key, and the updates around it that were applied.

    `before` is the value before the write that applied it, and `earlier` are the updates that this write had applied
    until then. `later` had seen it, `concurrent` had not, and neither had it seen those.
    """

    key: Key
    cause: Cause
    before: msgspec.Raw
    earlier: Sequence[Cause]
    later: Sequence[Cause]
    concurrent: Sequence[Cause]


def past_of(key: Key, cause: Cause, transition: Transition, since: Iterable[Transition]) -> Past:
    """How an update stands among the others. `since` are the transitions of the key that are not older than its own,
    of all regions whose steps are to be reckoned with. A row that was written once more decides nothing anew.
    """
    seen = parse_vector(transition.version)
    earlier: list[Cause] = []
    later: list[Cause] = []
    concurrent: list[Cause] = []
    for other in since:
        knew_it = parse_vector(other.version).get(transition.region, 0) >= cause.n
        for one in other.causes:
            if one.status is not Status.APPLIED or one.producer == VERIFIER:
                continue
            if other.region == transition.region:
                if one.n > cause.n:
                    later.append(one)
                elif transition.first <= one.n < cause.n:
                    earlier.append(one)
            elif knew_it:
                later.append(one)
            elif one.n > seen.get(other.region, 0):
                concurrent.append(one)
    return Past(key, cause, transition.before, earlier, later, concurrent)


def stands(past: Past, touches: Touches) -> bool:
    """Whether no update since has done something to it. Raises `InvalidUpdate` if a concurrent one has."""
    if _touched(past.concurrent, touches):
        raise _unknown(past, "another region did something to it at the same time")
    return not _touched(past.later, touches)


def value_before(past: Past, touches: Touches) -> Json:
    """The key's value before the update, as far as `touches` speaks of it; None if it was erased just before.

    Raises `InvalidUpdate` if that is not recorded.
    """
    if _touched(past.earlier, lambda effect: effect.op != ERASE and touches(effect)):
        raise _unknown(past, "several updates of it were written at once, and what it was between them is not recorded")
    before: Json = msgspec.json.decode(past.before)
    return before


def was_and_is(past: Past, name: str) -> tuple[bool, bool]:
    """Whether an element, or the flag, was there before the update and after it; the same twice if it changed nothing
    of that. Raises `InvalidUpdate` if that was not recorded yet.
    """
    changes = []
    for effect in past.cause.effects:
        if not _names(effect, name):
            continue
        if effect.idle is None:
            raise _unknown(past, "what an operation found there was not recorded yet")
        if name not in effect.idle:
            changes.append(effect.op not in REMOVALS)
    return (not changes[0], changes[-1]) if changes else (False, False)


def decides(name: str, *, is_there: bool) -> Touches:
    """What settles whether `name` is there, which the update left so: also what found it as it left it, but for the
    removal of what its writer had not seen.
    """
    return lambda effect: (
        _names(effect, name) and not (is_there and effect.op in REMOVALS and name in (effect.idle or ()))
    )


def anything(_effect: Effect) -> bool:
    """Every operation speaks of a register."""
    return True


def of_field(field: str) -> Touches:
    """Whether an operation speaks of a map's field."""
    return lambda effect: effect.field == field


def _names(effect: Effect, name: str) -> bool:
    return name in (effect.field, THE_FLAG) or name in (effect.elements or ())


def _touched(causes: Iterable[Cause], touches: Touches) -> bool:
    return any(touches(effect) for cause in causes for effect in cause.effects)


def _unknown(past: Past, why: str) -> InvalidUpdate:
    return InvalidUpdate(f"What {past.key} was before cannot be known: {why}", code="cannot_be_known")
