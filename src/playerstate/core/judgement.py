"""What becomes of an update: the decision at the centre of apply, pure.

All of an update's operations take effect, or none; an update is processed once, and remembered in its first row. The
order of the questions is the order of the answers: a repeat hears its first outcome before anything else is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from playerstate.core import producers
from playerstate.core.model import Cause, Effect, Key, Outcome, Reason, Status, Update
from playerstate.core.producers import RETENTION_MS
from playerstate.core.replica import Replica
from playerstate.core.types.contract import At, Refused
from playerstate.core.version_vector import covers, parse_vector


class _Plan(NamedTuple):
    """Where a key's replica will stand if the update is applied."""

    state: Any
    effects: list[Effect]


_APPLIED = Outcome(Status.APPLIED)


def judge(update: Update, accepted_at: int, replicas: Mapping[Key, Replica]) -> Outcome:
    """Process one checked update on the working copies of the keys that it names.

    A refused update takes a step of its first row, which remembers the refusal, and of a row that now wants rights. A
    repeat, and an update whose fate is forgotten (`expired`), takes none.
    """
    first_key = update.first_key
    first = replicas[first_key]
    if update.sent_at < accepted_at - RETENTION_MS:
        return Outcome(Status.EXPIRED)
    known = producers.recall(first.memory, update.producer, update.sequence, update.sent_at)
    if isinstance(known, Outcome):
        return known
    plans: dict[Key, _Plan] = {}
    outcome = _obstacle(update, known, first, replicas) or _try(update, accepted_at, first_key, replicas, plans)
    return _settle(update, accepted_at, first, replicas, plans, outcome)


def refuse(update: Update, accepted_at: int, replicas: Mapping[Key, Replica], reason: Reason) -> Outcome:
    """Process an update that `judge` would apply, but that must be refused for what would come of it."""
    first = replicas[update.first_key]
    return _settle(update, accepted_at, first, replicas, {}, Outcome(Status.REFUSED, reason))


def _obstacle(
    update: Update, known: producers.Novelty, first: Replica, replicas: Mapping[Key, Replica]
) -> Outcome | None:
    """What keeps the update from being tried at all."""
    if known is producers.Novelty.LATE and not all(replicas[op.key].data_type.commutes(op) for op in update.ops):
        return Outcome(Status.SUPERSEDED)
    if update.if_version is not None and parse_vector(update.if_version) != first.vector:
        return Outcome(Status.CONFLICT)
    if update.seen is not None and not covers(first.vector, parse_vector(update.seen)):
        return Outcome(Status.REFUSED, Reason.NOT_HERE_YET)
    return None


def _try(
    update: Update, accepted_at: int, first_key: Key, replicas: Mapping[Key, Replica], plans: dict[Key, _Plan]
) -> Outcome:
    """Apply every operation to a copy, into `plans`. On the first refusal only a note of what is wanted stays."""
    time_us = min(update.sent_at, accepted_at) * 1000
    seen = parse_vector(update.seen) if update.seen is not None else None
    for op in update.ops:
        key = op.key
        replica = replicas[key]
        at = At(replica.region, replica.next_step, time_us, seen if key == first_key else None)
        plan = plans.get(key)
        try:
            state, effect = replica.data_type.apply(plan.state if plan else replica.state, op, at, replica.spec)
        except Refused as refusal:
            plans.clear()
            if refusal.note is not None:
                plans[key] = _Plan(refusal.note(replica.state), [])
            return Outcome(Status.REFUSED, refusal.reason)
        plans[key] = _Plan(state, [*plan.effects, effect] if plan else [effect])
    return _APPLIED


def _settle(
    update: Update,
    accepted_at: int,
    first: Replica,
    replicas: Mapping[Key, Replica],
    plans: dict[Key, _Plan],
    outcome: Outcome,
) -> Outcome:
    """Remember the outcome in the first row, and take the planned steps; at least one, in the first row."""
    try:
        first.remember(update.producer, update.sequence, update.sent_at, outcome, now=accepted_at)
    except producers.MemoryFull as exc:
        first.set_memory(exc.part)
        outcome, plans = Outcome(Status.REFUSED, Reason.TOO_MANY_PRODUCERS), {}
    plans.setdefault(first.key, _Plan(first.state, []))
    for key, plan in plans.items():
        replica = replicas[key]
        cause = Cause(
            replica.next_step,
            update.producer,
            update.sequence,
            update.sent_at,
            accepted_at,
            plan.effects,
            outcome.status,
            outcome.reason,
            None if replica is first else first.key,
        )
        replica.take_step(plan.state, cause)
    return outcome
