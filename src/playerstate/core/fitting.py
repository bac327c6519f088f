"""Judging within the size that a row may have.

A row that an update would make larger than `ROW_BYTES_MAX` refuses it; so does an update of rows that are larger
together than one transaction may write, `GROUP_BYTES_MAX`. A refusal must be remembered too, and for that a row may
grow to `FULL_ROW_BYTES_MAX`. Beyond that it forgets: first what it knows of single updates (`producers.plain`); and if
that is not enough, producers that are new to it are turned away, as they are where there are too many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from playerstate.core import producers
from playerstate.core.erasure import erase
from playerstate.core.judgement import judge, settle, turn_away
from playerstate.core.model import ERASE, Outcome, Reason, Status, Update
from playerstate.core.replica import Replica, Snapshot

ROW_BYTES_MAX = 393_216
"""A row's largest size: under DynamoDB's 400 KB an item, with its keys and with what a full row says of refusals."""

FULL_ROW_BYTES_MAX = ROW_BYTES_MAX + 4096

GROUP_BYTES_MAX = 3_500_000
"""How large rows may be together that one transaction writes: under DynamoDB's 4 MB."""


def judge_within_size(
    update: Update, accepted_at: int, bytes_max: int, replicas: Sequence[Replica], written_at: int
) -> Outcome | None:
    """As `judge`, but refuse where a row would grow too large. `bytes_max` bounds the update's own size.

    None, with nothing done, if what the next write says of updates before this one may be what is too large, or what is
    to be erased: then that write has to be made first.
    """
    if update.ops[0].op == ERASE:
        return erase(update, accepted_at, replicas[0])
    more, rewrites = _growth(update, bytes_max)
    near = [replica for replica in replicas if replica.bytes_at_most(more, rewrites=rewrites) > ROW_BYTES_MAX]
    heavy = len(replicas) > 1 and _together(replicas) > GROUP_BYTES_MAX
    if not near and not heavy:
        return judge(update, accepted_at, replicas)
    before = {replica: replica.snapshot() for replica in replicas}
    bytes_before = {replica: replica.bytes_without_causes(written_at) for replica in near}
    outcome = judge(update, accepted_at, replicas)
    if all(
        replica.next_step == before[replica].next_step or _fits(replica, outcome, bytes_before[replica], written_at)
        for replica in near
    ) and not (heavy and _written(before, written_at) > GROUP_BYTES_MAX):
        return outcome
    for replica, snapshot in before.items():
        replica.restore(snapshot)
    if any(snapshot.because for snapshot in before.values()):
        return None
    if outcome.status is Status.APPLIED:
        outcome = Outcome(Status.REFUSED, Reason.ROW_TOO_LARGE)
    return _refuse(update, accepted_at, replicas[0], outcome, written_at)


def _together(replicas: Sequence[Replica]) -> int:
    return sum([replica.bytes_bound for replica in dict.fromkeys(replicas)])


def _written(before: Mapping[Replica, Snapshot], written_at: int) -> int:
    """The size of the rows that have taken a step, which are written together."""
    return sum([r.measure(written_at) for r, snapshot in before.items() if r.next_step != snapshot.next_step])


def _fits(replica: Replica, outcome: Outcome, bytes_before: int, written_at: int) -> bool:
    """Whether the row may be as large as it is now. One that an update makes smaller may always."""
    size = replica.measure(written_at)
    if size <= ROW_BYTES_MAX:
        return True
    grows = outcome.status is Status.APPLIED and replica.bytes_without_causes(written_at) > bytes_before
    return size <= FULL_ROW_BYTES_MAX and not grows


def _refuse(update: Update, accepted_at: int, first: Replica, outcome: Outcome, written_at: int) -> Outcome:
    """Remember the refusal, and nothing else, in the first row; at the price of what it remembered, if need be."""
    before = first.snapshot()
    settled = settle(update, accepted_at, first, outcome)
    if first.measure(written_at) <= FULL_ROW_BYTES_MAX:
        return settled
    first.restore(before)
    first.set_memory(producers.plain(first.own_memory))
    before = first.snapshot()
    settled = settle(update, accepted_at, first, outcome)
    if first.measure(written_at) <= FULL_ROW_BYTES_MAX or update.producer in producers.known(before.memory):
        return settled
    first.restore(before)
    return turn_away(update, accepted_at, first)


def _growth(update: Update, bytes_max: int) -> tuple[int, bool]:
    """How much an update adds to a row at most, and whether it may name everything that is there.

    What an operation carries stands in the state and again in the causes; a short element or item takes several times
    its own size in the state, with the step that wrote it.
    """
    factor, rewrites = 2, False
    for op in update.ops:
        if op.elements is not UNSET or op.items is not UNSET:
            factor = 8
            rewrites |= op.op == "replace"
    return bytes_max * factor, rewrites
