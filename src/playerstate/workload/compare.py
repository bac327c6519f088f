"""The comparison of what was sent with what came of it: a pure function over snapshots.

It looks at every key that was sent, in the store, the cache and the graph; at every trace that an update must have left
in the history; and at how many updates ended how. It does not see: what a reader saw on the way, the order in which
updates took effect but by what came of it, and edges of keys that nobody sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from playerstate.core.model import Identity, Json, Key

Place: TypeAlias = Literal["store", "cache", "graph", "history", "outcomes"]
Kind: TypeAlias = Literal["missing", "doubled", "different"]

PLACES: tuple[Place, ...] = ("store", "cache", "graph", "history", "outcomes")
FINDINGS_MAX = 100
"""How many findings are kept in words; all are counted."""
SHOWN_MAX = 120

_REPEAT_OUTCOMES = ("duplicate", "expired")
"""What a repeat hears: its first outcome, or that this is forgotten (a row keeps a bounded number of refusals)."""


class Trace(NamedTuple):
    """An update that left its mark in the history of a key."""

    identity: Identity
    key: Key


class Seen(NamedTuple):
    """A view: the version that it stands at, and its value."""

    version: str
    value: Json


class Expected(msgspec.Struct):
    """What must be so.

    `values` by key, `edges` the targets by key, `outcomes` how many updates end how, `traces` every mark that must
    stand in the history, with its outcome. `repeats` updates were sent twice; up to `retried` more may have been.
    """

    values: dict[Key, Json]
    edges: dict[Key, list[str]]
    outcomes: dict[str, int]
    traces: dict[Trace, str]
    repeats: int = 0
    retried: int = 0


class Found(msgspec.Struct):
    """What is so. `traces` has the outcome of every time that a mark was met."""

    store: dict[Key, Seen]
    cache: dict[Key, Seen]
    edges: dict[Key, list[str]]
    outcomes: dict[str, int]
    traces: dict[Trace, list[str]]


class Finding(msgspec.Struct, frozen=True):
    """A disagreement: `missing` what must be there, `doubled` what is there too often, `different` anything else."""

    place: Place
    kind: Kind
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what} is {self.kind}: expected {self.expected}, found {self.found}"


class Tally(msgspec.Struct):
    """One place: how many things were compared, and how many findings there were."""

    compared: int = 0
    missing: int = 0
    doubled: int = 0
    different: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all is as it must be."""
        return not (self.missing or self.doubled or self.different)


class Comparison(msgspec.Struct):
    """What the comparison came to. `findings` has the first `FINDINGS_MAX`."""

    places: dict[Place, Tally]
    findings: list[Finding]

    @property
    def agrees(self) -> bool:
        """Whether all is as it must be, everywhere."""
        return all(tally.agrees for tally in self.places.values())


def compare(expected: Expected, found: Found) -> Comparison:
    """Hold what is so against what must be so."""
    places: dict[Place, Tally] = {
        "store": Tally(len(expected.values)),
        "cache": Tally(len(expected.values)),
        "graph": Tally(len(expected.edges)),
        "history": Tally(len(expected.traces)),
        "outcomes": Tally(sum(expected.outcomes.values()) + expected.repeats),
    }
    findings: list[Finding] = []
    for finding in _findings(expected, found):
        tally = places[finding.place]
        setattr(tally, finding.kind, getattr(tally, finding.kind) + 1)
        if len(findings) < FINDINGS_MAX:
            findings.append(finding)
    return Comparison(places, findings)


def _findings(expected: Expected, found: Found) -> Iterator[Finding]:
    yield from _values("store", expected.values, found.store)
    yield from _values("cache", expected.values, found.cache)
    yield from _versions(found.store, found.cache)
    yield from _edges(expected.edges, found.edges)
    yield from _traces(expected.traces, found.traces)
    yield from _outcomes(expected, found.outcomes)


def _values(place: Place, expected: Mapping[Key, Json], found: Mapping[Key, Seen]) -> Iterator[Finding]:
    for key, value in expected.items():
        seen = found.get(key)
        if seen is None:
            yield Finding(place, "missing", str(key), _shown(value), "nothing")
        elif _text(seen.value) != _text(value):
            yield Finding(place, "different", str(key), _shown(value), _shown(seen.value))
    for key in found.keys() - expected.keys():
        yield Finding(place, "different", str(key), "nothing", _shown(found[key].value))


def _versions(store: Mapping[Key, Seen], cache: Mapping[Key, Seen]) -> Iterator[Finding]:
    for key in store.keys() & cache.keys():
        if store[key].version != cache[key].version:
            what = f"the version of {key}"
            yield Finding("cache", "different", what, store[key].version, cache[key].version)


def _edges(expected: Mapping[Key, list[str]], found: Mapping[Key, list[str]]) -> Iterator[Finding]:
    for key, targets in expected.items():
        there = Counter(found.get(key, ()))
        by_kind: dict[Kind, list[str]] = {
            "missing": [target for target in targets if not there[target]],
            "doubled": [target for target, n in there.items() if n > 1],
            "different": sorted(there.keys() - set(targets)),
        }
        for kind, wrong in by_kind.items():
            if wrong:
                what = f"{key} -> {', '.join(wrong)}"[:SHOWN_MAX]
                yield Finding("graph", kind, what, f"{len(targets)} edges", f"{there.total()}")


def _traces(expected: Mapping[Trace, str], found: Mapping[Trace, list[str]]) -> Iterator[Finding]:
    for trace, outcome in expected.items():
        met = found.get(trace, [])
        if not met:
            yield Finding("history", "missing", _named(trace), outcome, "nothing")
        elif len(met) > 1:
            yield Finding("history", "doubled", _named(trace), outcome, f"{len(met)} times")
        elif met[0] != outcome:
            yield Finding("history", "different", _named(trace), outcome, met[0])
    for trace in found.keys() - expected.keys():
        yield Finding("history", "different", _named(trace), "nothing", ", ".join(found[trace]))


def _outcomes(expected: Expected, found: Mapping[str, int]) -> Iterator[Finding]:
    repeats = sum(found.get(outcome, 0) for outcome in _REPEAT_OUTCOMES)
    for outcome in sorted(expected.outcomes.keys() | found.keys() - set(_REPEAT_OUTCOMES)):
        yield from _count(outcome, expected.outcomes.get(outcome, 0), found.get(outcome, 0))
    if not expected.repeats <= repeats <= expected.repeats + expected.retried:
        yield from _count("repeats", expected.repeats, repeats)


def _count(what: str, expected: int, found: int) -> Iterator[Finding]:
    if found != expected:
        kind: Kind = "missing" if found < expected else "doubled" if expected else "different"
        yield Finding("outcomes", kind, what, str(expected), str(found))


def _named(trace: Trace) -> str:
    identity, key = trace
    first = Key(identity.player_id, identity.state_key)
    of = f" (first of {first})" if key != first else ""
    return f"update {identity.sequence} of {identity.producer} in the history of {key}{of}"


def _text(value: Json) -> bytes:
    return msgspec.json.encode(value, order="sorted")  # as text, for to Python true is 1


def _shown(value: Json) -> str:
    text = _text(value).decode()
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
