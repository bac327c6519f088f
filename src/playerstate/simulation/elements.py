"""What must hold of sets: a checker (see `checkers`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from playerstate.core.model import Key
from playerstate.core.version_vector import parse_vector
from playerstate.simulation.erasing import erased_keys
from playerstate.simulation.history import Committed, History, identity_of


def added_elements_stay(history: History) -> Iterator[str]:
    """An element of a set shows in the end if it was added once and no removal had observed that.

    A removal has observed what its region had, as far as its sender had seen it. Says nothing of elements that should
    be gone, nor of keys that were erased, nor of what a region that is gone has told nobody.
    """
    seen = {identity_of(u): parse_vector(u.seen) for u in history.all_streamed() if u.seen is not None}
    erasures = erased_keys(history)
    added: defaultdict[tuple[Key, str], list[Committed]] = defaultdict(list)
    removed: defaultdict[tuple[Key, str], list[Committed]] = defaultdict(list)
    for committed in history.processed():
        if history.schema.keys[committed.key.state_key].type == "set" and committed.key not in erasures:
            for effect in committed.cause.effects:
                for element in effect.elements or []:
                    (added if effect.op == "add" else removed)[committed.key, element].append(committed)
    for (key, element), adds in added.items():
        removals = [(c, seen.get(c.identity)) for c in removed[key, element]]
        for add in adds:
            if _untold(add, history) or any(_observed(removal, saw, add) for removal, saw in removals):
                continue
            for region, finals in history.finals.items():
                if element not in finals[key].view:
                    yield f"{element!r} was added to {key} by {add.identity} and is not there in {region}"


def _observed(removal: Committed, saw: Mapping[str, int] | None, add: Committed) -> bool:
    region, n = add.region, add.cause.n
    known = n < removal.cause.n if region == removal.region else removal.knew.get(region, 0) >= n
    return known and (saw is None or saw.get(region, 0) >= n)


def _untold(add: Committed, history: History) -> bool:
    return any(gone.region == add.region and add.cause.n > gone.reached.get(add.key, 0) for gone in history.gone)
