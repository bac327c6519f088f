"""What must hold of erasures: a checker (see `checkers`), and what the other checkers have to know of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from playerstate.core.model import ERASE, Cause, Key, Status
from playerstate.simulation.history import History, SimIdentity, identity_of


def erased(history: History) -> Iterator[str]:
    """Every erasure on a stream is done. What came there before it does not take effect after it, and shows nowhere.

    Says nothing of what other regions accepted. Of numbers only that they take no effect: `sums` adds them up.
    """
    gone: defaultdict[Key, set[SimIdentity]] = defaultdict(set)
    for region, updates in history.streamed.items():
        places: dict[SimIdentity, int] = {}
        for place, update in enumerate(updates):
            places.setdefault(identity_of(update), place)
        erased_at: Counter[Key] = Counter()
        for committed in (c for c in history.processed() if c.region == region and c.identity in places):
            key, place = committed.key, places[committed.identity]
            if committed.cause.status is Status.APPLIED and place < erased_at[key]:
                yield f"{committed.identity} took effect in {region} on {key} after an erasure that came behind it"
            if _erases(committed.cause):
                erased_at[key] = place
        done = {c.identity for c in history.committed if c.region == region}
        for update in updates:
            if update.ops[0].op == ERASE and identity_of(update) not in done:
                yield f"{update.first_key} was not erased in {region}, as {identity_of(update)} asked"
            for key in {op.key for op in update.ops if places[identity_of(update)] < erased_at[op.key]}:
                gone[key].add(identity_of(update))
    makers = _makers(history)
    for region, finals in history.finals.items():
        for key, final in finals.items():
            for text in final.view if isinstance(final.view, list) else [final.view]:
                made_by = makers.get((key, text)) if isinstance(text, str) else None
                if made_by and made_by <= gone[key]:
                    yield f"{key} in {region} shows {text!r}, which was erased"


def erased_keys(history: History) -> set[Key]:
    """The keys that somebody wanted erased."""
    return {update.first_key for update in history.all_streamed() if update.ops[0].op == ERASE}


def epochs_of(history: History) -> Counter[Key]:
    """How often each key was erased."""
    epochs: Counter[Key] = Counter()
    for committed in history.committed:
        epochs[committed.key] = max(committed.epoch, epochs[committed.key])
    return epochs


def _erases(cause: Cause) -> bool:
    return any(effect.op == ERASE for effect in cause.effects)


def _makers(history: History) -> dict[tuple[Key, str], set[SimIdentity]]:
    """Who could have made a key show a text: as an element, or as its value."""
    makers: defaultdict[tuple[Key, str], set[SimIdentity]] = defaultdict(set)
    for update in history.all_streamed():
        for op in update.ops:
            texts = op.elements if op.op == "add" and isinstance(op.elements, list) else [op.value]
            for text in texts:
                if isinstance(text, str) and op.op != ERASE:
                    makers[op.key, text].add(identity_of(update))
    return dict(makers)
