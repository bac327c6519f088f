"""What regions have, held against what they answered: a pure function over what was read of each of them.

An update is *accounted for* if it was answered, stands with that answer in the history of the region that was asked and
of no other, and if its keys' values are, in every region alike, what the applied updates come to (`replay.explain`);
the steps that it took must be counted by the key's version. So an update that some region has dropped cannot pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from playerstate.core.model import Identity, Key, Outcome, Status, Transition, Update
from playerstate.core.resolution import RESOLVER
from playerstate.core.schema import Schema
from playerstate.core.version_vector import parse_vector
from playerstate.node import Node
from playerstate.replay.compare import outcome_text
from playerstate.replay.explain import deeds_in, unexplained
from playerstate.workload.compare import Seen, Trace
from playerstate.workload.lost_updates import GOLD, gold_differences
from playerstate.workload.snapshot import HISTORY_MAX, cached_views, stored_views
from playerstate.workload.tape import Sent

FINDINGS_MAX = 20

APPLIED = str(Status.APPLIED)


class RegionRead(NamedTuple):
    """What a region has: views in store and cache, edges in the graph, its part of the history."""

    store: dict[Key, Seen]
    cache: dict[Key, Seen]
    edges: dict[Key, list[str]]
    history: list[Transition]


class Mark(NamedTuple):
    """An update in a history: where, as what, and at which step."""

    region: str
    outcome: str
    n: int


class Accounts(msgspec.Struct):
    """What the regions came to. `lost` are the updates that are not accounted for, applied or refused.

    `gold_gone` and `gold_spent_twice` are as in `Losses`. `findings` has the first `FINDINGS_MAX` in words.
    """

    sent: int
    applied: int
    lost: int
    gold_gone: int
    gold_spent_twice: int
    keys: int
    outcomes: dict[str, int]
    findings: list[str]


def read_region(node: Node, keys: Iterable[Key]) -> RegionRead:
    """All that a region has of the players of some keys, read as it is."""
    parts = node.parts
    players = sorted({key.player_id for key in keys})
    edge_keys = node.schema.edge_keys()
    return RegionRead(
        stored_views(parts.store, node.schema, players),
        cached_views(parts.cache, players),
        {key: sorted(parts.graph.edges(key)[1]) for key in keys if key.state_key in edge_keys},
        [transition for player_id in players for transition in parts.audit.history(player_id, limit=HISTORY_MAX)],
    )


def answers(nodes: Mapping[str, Node], sent: Iterable[Sent]) -> dict[Identity, str]:
    """What the regions answer when they are asked what became of each update."""
    return {one.identity: outcome_text(nodes[one.region].service.outcome(one.identity)) for one in sent}


def reconcile(
    regions: Mapping[str, RegionRead], schema: Schema, sent: Sequence[Sent], answered: Mapping[Identity, str]
) -> Accounts:
    """Account for every update. `answered` has what each came to."""
    updates = {one.identity: one.update for one in sent}
    marks = _marks(regions)
    bad_keys = _bad_keys(regions, schema, updates)
    bad_updates = {one.identity: what for one in sent if (what := _wrong(regions, one, answered, marks))}
    strangers = {trace.identity for trace in marks} - updates.keys()
    findings = [
        *(f"{key} {what}" for key, what in bad_keys.items()),
        *(f"{_named(identity)} {what}" for identity, what in bad_updates.items()),
        *(f"{_named(identity)} is in a history, and nobody sent it" for identity in sorted(strangers)),
    ]
    lost = [one for one in sent if one.identity in bad_updates or any(op.key in bad_keys for op in one.update.ops)]
    first = next(iter(regions.values()))
    gold = {key: seen.value for key, seen in first.store.items() if key.state_key == GOLD}
    applied = [update for identity, update in updates.items() if answered[identity] == APPLIED]
    gone, twice = gold_differences(gold, applied)
    outcomes = dict(Counter(answered[one.identity] for one in sent))
    shown = findings[:FINDINGS_MAX]
    return Accounts(len(sent), len(applied), len(lost), gone, twice, len(first.store), outcomes, shown)


def _bad_keys(regions: Mapping[str, RegionRead], schema: Schema, updates: Mapping[Identity, Update]) -> dict[Key, str]:
    """What is wrong with keys: that regions differ, or that the applied updates do not explain the value."""
    deeds = deeds_in((transition for read in regions.values() for transition in read.history), updates)
    first = next(iter(regions.values()))
    bad = {}
    for key in sorted(deeds.keys() | {key for read in regions.values() for key in read.store}):
        wrong = _disagreement(regions, schema, key)
        if wrong is None:
            wrong = unexplained(schema.keys[key.state_key], deeds.get(key, []), first.store[key].value)
        if wrong is not None:
            bad[key] = wrong
    return bad


def _disagreement(regions: Mapping[str, RegionRead], schema: Schema, key: Key) -> str | None:
    """How a key differs between the stores, caches and graphs; None if it is the same in all of them."""
    first, read = next(iter(regions.items()))
    should = read.store.get(key)
    if should is None:
        return f"is not in the store of {first}"
    targets = should.value if isinstance(should.value, list) else [should.value] if should.value else []
    for region, other in regions.items():
        for place, seen in (("store", other.store.get(key)), ("cache", other.cache.get(key))):
            if seen != should:
                return f"is {should} in the store of {first}, and {seen} in the {place} of {region}"
        if key.state_key in schema.edge_keys() and other.edges.get(key, []) != sorted(targets):
            return f"has the edges {other.edges.get(key)} in the graph of {region}"
    return None


def _marks(regions: Mapping[str, RegionRead]) -> dict[Trace, list[Mark]]:
    """Every mark that an update left on a key, in all histories. Gifts of rights are no updates."""
    marks: dict[Trace, list[Mark]] = {}
    for region, read in regions.items():
        for transition in read.history:
            key = Key(transition.player_id, transition.state_key)
            for cause in transition.causes:
                if cause.producer == RESOLVER:
                    continue
                identity = Identity(cause.producer, cause.sequence, *(cause.of or key))
                mark = Mark(region, outcome_text(Outcome(cause.status, cause.reason)), cause.n)
                marks.setdefault(Trace(identity, key), []).append(mark)
    return marks


def _wrong(
    regions: Mapping[str, RegionRead],
    one: Sent,
    answered: Mapping[Identity, str],
    marks: Mapping[Trace, list[Mark]],
) -> str | None:
    """What does not fit an update's answer; None if all does."""
    outcome = answered[one.identity]
    keys = {op.key for op in one.update.ops}
    owed = keys if outcome == APPLIED else {one.update.first_key}
    for key in sorted(keys):
        found = marks.get(Trace(one.identity, key), [])
        if not found and key in owed:
            return f"was answered {outcome}, and no history of {key} has it"
        if len(found) > 1:
            return f"is in the histories {len(found)} times: {', '.join(mark.region for mark in found)}"
        for mark in found:
            if (mark.region, mark.outcome) != (one.region, outcome):
                return f"was answered {outcome} by {one.region}, and is {mark.outcome} in the history of {mark.region}"
            for region, read in regions.items():
                if key not in read.store or parse_vector(read.store[key].version).get(one.region, 0) < mark.n:
                    return f"took a step of {key} that {region} does not have"
    return None


def _named(identity: Identity) -> str:
    return f"update {identity.sequence} of {identity.producer} for {identity.player_id}/{identity.state_key}"
