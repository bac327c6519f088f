"""What must hold of every run: pure functions of its history, each of which says what is wrong with it.

They share no code with the stages; `rebuilt` tries what is made for users. What each does not look at is said with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from playerstate.core.findings import CACHE, Kind
from playerstate.core.model import Key, Op, Status
from playerstate.core.version_vector import covers, parse_vector
from playerstate.simulation.elements import added_elements_stay
from playerstate.simulation.erasing import epochs_of, erased, erased_keys
from playerstate.simulation.history import Committed, Final, History, Sent, SimIdentity, identity_of
from playerstate.simulation.rebuilding import rebuilt

Checker: TypeAlias = Callable[[History], Iterator[str]]
_Identity: TypeAlias = SimIdentity


def nothing_acknowledged_is_lost(history: History) -> Iterator[str]:
    """Promise 1. Says nothing of updates whose sender does not know whether they were accepted.

    A region that is gone takes along what it had not come to. Nor of keys that were erased: what was sent before may
    come to nothing that is remembered.
    """
    known = {committed.identity for committed in _updates(history)}
    waiting = {(gone.region, identity) for gone in history.gone for identity in gone.waiting}
    erasures = erased_keys(history)
    for sent in history.sent:
        excused = (sent.region, _identity(sent)) in waiting or sent.update.first_key in erasures
        if _identity(sent) not in known and not excused:
            yield f"{_identity(sent)} was acknowledged in {sent.region} and has no outcome"


def once(history: History) -> Iterator[str]:
    """Promise 2, for updates that were sent to one region. Says nothing of what an outcome did: `sums` does."""
    regions: defaultdict[_Identity, set[str]] = defaultdict(set)
    for sent in history.sent:
        regions[_identity(sent)].add(sent.region)
    seen = Counter(committed.identity for committed in _updates(history) if committed.cause.of is None)
    for identity, times in seen.items():
        if times > 1 and len(regions[identity]) <= 1:
            yield f"{identity} was processed {times} times"


def whole(history: History) -> Iterator[str]:
    """Promise 5: an applied update stands in all of its rows. Says nothing of when other regions see which row."""
    keys_of = {_identity(sent): {op.key for op in sent.update.ops} for sent in history.sent}
    applied: defaultdict[tuple[str, _Identity], set[Key]] = defaultdict(set)
    for committed in _updates(history):
        if committed.cause.status is Status.APPLIED:
            applied[committed.region, committed.identity].add(committed.key)
    for (region, identity), keys in applied.items():
        expected = keys_of.get(identity, keys)
        if keys != expected:
            yield f"{identity} took effect in {region} on {sorted(keys)} instead of {sorted(expected)}"


def in_order(history: History) -> Iterator[str]:
    """Promise 7, within each region. Says nothing of a producer that has gone to another region."""
    last: dict[tuple[str, str, Key], int] = {}
    for committed in _updates(history):
        if committed.cause.of is None:
            line = committed.region, committed.cause.producer, committed.key
            if committed.cause.sequence < last.get(line, 0):
                yield f"{committed.identity} was processed in {committed.region} after {last[line]} of its line"
            last[line] = max(last.get(line, 0), committed.cause.sequence)


def sums(history: History) -> Iterator[str]:
    """Promises 2 and 3, for numbers: in the end they are what was answered applied. Says nothing of other types.

    What a region that is gone had done and told nobody does not count, row by row. Of a key that was erased, only what
    rows of its last epoch say counts.
    """
    epochs = epochs_of(history)
    lasting = {(c.identity, c.key) for c in _updates(history) if c.epoch == epochs[c.key]}
    updates = {(u.producer, u.sequence, u.first_key): u for u in history.unsure}
    updates |= {_identity(sent): sent.update for sent in history.sent}
    applied = {c.identity for c in _updates(history) if c.cause.of is None and c.cause.status is Status.APPLIED}
    lost = _lost(history)
    totals: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for key, spec in ((key, history.schema.keys[key.state_key]) for key in _keys(history)):
        if spec.type in ("counter", "bounded_counter"):
            totals[key][""] = spec.start
    for identity in applied & updates.keys():
        for op in updates[identity].ops:
            counts = (identity, op.key) not in lost and (not epochs[op.key] or (identity, op.key) in lasting)
            if counts and op.op in ("add", "subtract") and isinstance(op.n, int):
                totals[op.key][_item(op)] += op.n if op.op == "add" else -op.n
    for region, finals in history.finals.items():
        for key, final in finals.items():
            shown = _numbers(final.view, history.schema.keys[key.state_key].type)
            if shown is not None and shown != {item: n for item, n in totals[key].items() if n or not item}:
                yield f"{key} in {region} is {final.view}, but what was applied comes to {dict(totals[key])}"


def never_overspent(history: History) -> Iterator[str]:
    """Promise 4, as readers see it at any time. Says nothing of what nobody read.

    A region that is gone may have spent or given away what its heir did not know of; by so much it may be less.
    """
    unknown = _unknown_to_heirs(history)
    for read in history.reads:
        spec = history.schema.keys[read.key.state_key]
        numbers = _numbers(read.value, spec.type) if spec.type in ("bounded_counter", "inventory") else None
        if any(n < spec.minimum - unknown[read.key, item] for item, n in (numbers or {}).items()):
            yield f"{read.key} was read in {read.region} as {read.value}"


def never_backwards(history: History) -> Iterator[str]:
    """Promise 6, between losses of the cache."""
    last: dict[tuple[str, Key, int], str] = {}
    for read in history.reads:
        place = read.region, read.key, read.generation
        if not covers(parse_vector(read.version), parse_vector(last.get(place, ""))):
            yield f"{read.key} went from {last[place]} to {read.version} in the cache of {read.region}"
        last[place] = read.version


def converged(history: History) -> Iterator[str]:
    """Promise 3: all regions hold and show the same. Says nothing of whether that is right.

    Nor of the rows of a region that is gone, which may have reached some: what they say has to be shown everywhere.
    """
    dead = {gone.region for gone in history.gone}

    def held(final: Final) -> dict[str, bytes]:
        return {owner: body for owner, body in final.rows.items() if owner not in dead}

    first, *others = sorted(history.finals)
    for other in others:
        for key in _keys(history):
            one, two = history.finals[first].get(key), history.finals[other].get(key)
            if one is None or two is None or (held(one), one.view) != (held(two), two.view):
                yield f"{key} differs between {first} and {other}: {one and one.view} and {two and two.view}"


def at_rest(history: History) -> Iterator[str]:
    """Whatever happened, there comes a time when nothing is left to do. Says nothing of how long that takes."""
    if not history.at_rest:
        yield "there is always something left to do"


def cache_in_step(history: History) -> Iterator[str]:
    """In the end the cache shows what the store does, or nothing: also where an old view came late to a cache that had
    lost the newer one, which verification has found. Says nothing of how long that took.
    """
    for region, finals in history.finals.items():
        for key, final in finals.items():
            if final.cached not in (None, final.view):
                yield f"the cache of {region} shows {key} as {final.cached}, the store as {final.view}"


def resolved(history: History) -> Iterator[str]:
    """In the end some row of every key contains all the others. Says nothing of how long that took."""
    for region, finals in history.finals.items():
        for key, final in finals.items():
            vectors = [parse_vector(version) for version in final.versions.values()]
            if vectors and not any(all(covers(one, other) for other in vectors) for one in vectors):
                yield f"{key} is left in conflict in {region}: {vectors}"


def graph_in_step(history: History) -> Iterator[str]:
    """In the end the graph's edges are those of the store's views. Says nothing of edges that no key makes."""
    for region, finals in history.finals.items():
        for key, final in finals.items():
            if final.edges is not None and final.edges != final.view:
                yield f"the graph of {region} leads from {key} to {final.edges}, the store says {final.view}"


def no_false_alarm(history: History) -> Iterator[str]:
    """Promise 8: what verification found was wrong. Says nothing of what it should have found.

    Nothing is ever wrong in a run but old views that came late to a cache that had lost the newer ones, and values
    below their minimum after a death.
    """
    late = set(history.late)
    for finding in history.findings:
        came_late = finding.place == CACHE and (finding.region, finding.key) in late
        if not came_late and not (finding.kind is Kind.OVERSPENT and history.gone):
            yield f"{finding.key} was said to be {finding.kind} in {finding.place}: {finding.expected}, {finding.found}"


def explained(history: History) -> Iterator[str]:
    """Promise 9: the history of a region names every cause that it has committed, once, and no other.

    Of a key that was erased, those of its last epoch, the erasure first. Says nothing of the values before and after,
    nor of a region that is gone, and its history with it.
    """
    epochs, dead = epochs_of(history), {gone.region for gone in history.gone}
    lasting = [c for c in history.committed if c.epoch == epochs[c.key] and c.region not in dead]
    committed = Counter((c.region, c.key, c.cause.n) for c in lasting)
    recorded = Counter((c.region, c.key, c.cause.n) for c in history.recorded)
    for place in sorted((committed - recorded) | (recorded - committed)):
        yield f"{place} was committed {committed[place]} times and is recorded {recorded[place]} times"


def rights_come_back(history: History) -> Iterator[str]:
    """Once a region is retired, everything that is there can be spent. Says nothing of how long that takes."""
    applied = {c.identity for c in _updates(history) if c.cause.status is Status.APPLIED}
    for identity in history.spent_last:
        if identity not in applied:
            yield f"{identity} could not take away what was left"


CHECKERS: tuple[Checker, ...] = (
    nothing_acknowledged_is_lost,
    once,
    whole,
    in_order,
    sums,
    never_overspent,
    never_backwards,
    converged,
    at_rest,
    cache_in_step,
    resolved,
    graph_in_step,
    no_false_alarm,
    explained,
    rebuilt,
    rights_come_back,
    erased,
    added_elements_stay,
)


def violations(history: History) -> list[str]:
    """Everything that is wrong with a run, each with the promise that it breaks."""
    return [f"{checker.__name__}: {what}" for checker in CHECKERS for what in checker(history)]


def _identity(sent: Sent) -> _Identity:
    return identity_of(sent.update)


def _updates(history: History) -> Iterator[Committed]:
    return history.processed()


def _lost(history: History) -> set[tuple[_Identity, Key]]:
    """What a region that is gone had done to which key, and told nobody of."""
    reached = {gone.region: gone.reached for gone in history.gone}
    lost: set[tuple[_Identity, Key]] = set()
    kept: set[tuple[_Identity, Key]] = set()
    for committed in _updates(history):
        steps = reached.get(committed.region)
        told = steps is None or committed.cause.n <= steps.get(committed.key, 0)
        (kept if told else lost).add((committed.identity, committed.key))
    return lost - kept


def _unknown_to_heirs(history: History) -> Counter[tuple[Key, str]]:
    """By how much the rights to each item of a key may be less than an heir took them for.

    That is the most that came to be spent or given away, less what came in between, in a run of steps that it did not
    know of when it took over, and that others have heard of since.
    """
    worst: Counter[tuple[Key, str]] = Counter()
    for gone in history.gone:
        running: Counter[tuple[Key, str]] = Counter()
        for region, key, cause, *_ in history.committed:
            if region == gone.region and gone.known.get(key, cause.n) < cause.n <= gone.reached.get(key, 0):
                for effect in cause.effects:
                    place = key, effect.item or ""
                    out = sum((effect.deltas or {}).values()) - (effect.delta or 0)
                    running[place] = max(running[place] + out, 0)
                    worst[place] = max(worst[place], running[place])
    return worst


def _keys(history: History) -> list[Key]:
    return sorted({key for finals in history.finals.values() for key in finals})


def _item(op: Op) -> str:
    return op.item if isinstance(op.item, str) else ""


def _numbers(value: Any, type_name: str) -> Mapping[str, int] | None:
    if type_name == "inventory":
        return dict(value)
    return {"": value} if type_name in ("counter", "bounded_counter") else None
