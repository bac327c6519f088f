"""What becomes of an update: the decision at the centre of apply, pure.

All of an update's operations take effect, or none; an update is processed once, and remembered in its first row. The
order of the questions is the order of the answers: a repeat hears its first outcome before anything else is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from playerstate.core import producers
from playerstate.core.model import Cause, Effect, Key, Outcome, Reason, Status, Update
from playerstate.core.producers import RETENTION_MS
from playerstate.core.replica import Replica
from playerstate.core.types.contract import At, Refused
from playerstate.core.version_vector import covers, parse_vector

_Plans: TypeAlias = dict[Replica, tuple[Any, list[Effect]]]
"""Where each row will stand if the update is applied, and what was done to it."""

_APPLIED = Outcome(Status.APPLIED)
_NO_OTHERS: list[tuple[str, str]] = []


def judge(update: Update, accepted_at: int, replicas: Sequence[Replica]) -> Outcome:
    """Process one checked update on the working copies of the rows that it names.

    `replicas` holds each operation's, in their order; operations on one key share one. A refused update takes a step of
    its first row, which remembers the refusal, and of a row that now wants rights. A repeat, and an update whose fate
    is forgotten (`expired`), takes none.
    """
    if update.sent_at < accepted_at - RETENTION_MS:
        return Outcome(Status.EXPIRED)
    first = replicas[0]
    known = producers.recall(first.memory, update.producer, update.sequence, update.sent_at)
    if isinstance(known, Outcome):
        return known
    if first.epoch and _may_be_from_before(update.sent_at, first):
        return Outcome(Status.EXPIRED)
    plans: _Plans = {}
    outcome = _obstacle(update, known, replicas) or _try(update, accepted_at, replicas, plans)
    return _settle(update, accepted_at, first, plans, outcome)


def settle(update: Update, accepted_at: int, first: Replica, outcome: Outcome) -> Outcome:
    """Process an update with an outcome that is decided already, and in which nothing takes effect."""
    return _settle(update, accepted_at, first, {}, outcome)


def turn_away(update: Update, accepted_at: int, first: Replica) -> Outcome:
    """Process an update of a producer for which the first row has no room."""
    first.set_memory(producers.turned_away(first.own_memory, update.sent_at))
    outcome = Outcome(Status.REFUSED, Reason.TOO_MANY_PRODUCERS)
    _take_steps(update, accepted_at, first, {}, outcome)
    return outcome


def _may_be_from_before(sent_at: int, replica: Replica) -> bool:
    """Whether an update that an erased row does not remember may be from before: then it must not bring anything back.

    A producer whose clock has jumped may have sent what is forgotten under a higher sequence than what is remembered.
    """
    return sent_at <= producers.horizon(replica.memory)


def _obstacle(update: Update, known: producers.Novelty, replicas: Sequence[Replica]) -> Outcome | None:
    """What keeps the update from being tried at all."""
    if known is producers.Novelty.LATE and not all(
        replica.data_type.commutes(op) for op, replica in zip(update.ops, replicas, strict=True)
    ):
        return Outcome(Status.SUPERSEDED)
    if update.if_version is not None and parse_vector(update.if_version) != replicas[0].vector:
        return Outcome(Status.CONFLICT)
    if update.if_versions is not None and not _stand_as_read(update, replicas):
        return Outcome(Status.CONFLICT)
    if update.seen is not None and not covers(replicas[0].vector, parse_vector(update.seen)):
        return Outcome(Status.REFUSED, Reason.NOT_HERE_YET)
    return None


def _stand_as_read(update: Update, replicas: Sequence[Replica]) -> bool:
    """Whether every key that `if_versions` names is at the version that it says."""
    vectors = {replica.key: replica.vector for replica in replicas}
    return all(
        parse_vector(version) == vectors[Key(player_id, state_key)]
        for player_id, state_key, version in update.if_versions or ()
    )


def _try(update: Update, accepted_at: int, replicas: Sequence[Replica], plans: _Plans) -> Outcome:
    """Apply every operation to a copy, into `plans`. On the first refusal only a note of what is wanted stays."""
    sent_at = update.sent_at
    time_us = (sent_at if sent_at < accepted_at else accepted_at) * 1000
    first, seen = replicas[0], parse_vector(update.seen) if update.seen is not None else None
    for op, replica in zip(update.ops, replicas, strict=True):
        state, effects = plans.get(replica) or (replica.state, [])
        if replica is not first and replica.epoch and _may_be_from_before(sent_at, replica):
            plans.clear()
            return Outcome(Status.EXPIRED)
        at = At(replica.region, replica.next_step, time_us, seen if replica is first else None)
        try:
            state, effect = replica.data_type.apply(state, op, at, replica.spec)
        except Refused as refusal:
            plans.clear()
            if refusal.note is not None:
                plans[replica] = (refusal.note(replica.state), [])
            return Outcome(Status.REFUSED, refusal.reason)
        effects.append(effect)
        plans[replica] = (state, effects)
    return _APPLIED


def _settle(update: Update, accepted_at: int, first: Replica, plans: _Plans, outcome: Outcome) -> Outcome:
    """Remember the outcome in the first row, and take the planned steps; at least one, in the first row."""
    try:
        first.remember(update.producer, update.sequence, update.sent_at, outcome, now=accepted_at)
    except producers.MemoryFull as exc:
        first.set_memory(exc.part)
        outcome, plans = Outcome(Status.REFUSED, Reason.TOO_MANY_PRODUCERS), {}
    _take_steps(update, accepted_at, first, plans, outcome)
    return outcome


def _take_steps(update: Update, accepted_at: int, first: Replica, plans: _Plans, outcome: Outcome) -> None:
    producer, sequence, sent_at = update.producer, update.sequence, update.sent_at
    status, reason = outcome.status, outcome.reason
    note = update.note
    if first not in plans:
        plans[first] = (first.state, [])
    for replica, (state, effects) in plans.items():
        of: Key | None = None
        others: list[tuple[str, str]] | None = _NO_OTHERS
        if replica is not first:
            of, others = first.key, None
        elif len(plans) > 1 and status is Status.APPLIED:
            others = [other.key for other in plans if other is not first]
        cause = Cause(
            replica.next_step, producer, sequence, sent_at, accepted_at, effects, status, reason, of, others, note
        )
        replica.take_step(state, cause)
