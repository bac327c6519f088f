"""Erasing: a key goes back to its type's empty state, and nothing that was sent before brings anything of it back.

Deleting rows would not do: a row of another region, or an update on its way, would bring back what they held. So a row
that is erased stays, and its vector counts on; its *epoch* rises, and a join takes the state of the higher epoch. Only
the horizons are left of the memory (see `producers`), so that a repeat of what came before answers `expired`.

An erasure is an update with this one operation, which the product itself puts on the stream. It is the first that its
write of the row processes: what the writes before it say of updates is erased with them.
"""

from __future__ import annotations

from msgspec import UNSET

from playerstate.core import producers
from playerstate.core.model import ERASE, Cause, Effect, Json, Key, Op, Outcome, Status, Update
from playerstate.core.replica import Replica
from playerstate.errors import InvalidUpdate

ERASE_REASON_LENGTH_MAX = 200


def erasure(key: Key, reason: str, *, eraser: str, sequence: int, now: int) -> Update:
    """The update that erases a key."""
    return Update([Op(*key, ERASE, value=reason)], eraser, sequence, now)


def is_erasure(update: Update) -> bool:
    """Whether the update says that it erases."""
    return bool(update.ops) and update.ops[0].op == ERASE


def check_reason(reason: Json, where: str = "$.reason") -> None:
    """Raise `InvalidUpdate` unless it says on a line why something is erased; the history keeps it."""
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidUpdate("Erasing needs a reason", code="no_reason", where=where)
    if len(reason) > ERASE_REASON_LENGTH_MAX or not reason.isprintable():
        raise InvalidUpdate(
            f"Expected a reason of 1 to {ERASE_REASON_LENGTH_MAX} printable characters", code="bad_reason", where=where
        )


def check_erasure(update: Update) -> None:
    """Raise `InvalidUpdate` unless the update is one that `erasure` makes."""
    if not update.producer.startswith(producers.ERASER_PREFIX):
        raise InvalidUpdate("Only the product itself erases", code="not_an_update", where="$.producer")
    op, where = update.ops[0], "$.ops[0]"
    given = (op.item, op.n, op.items, op.elements, op.field)
    if len(update.ops) > 1 or any(argument is not UNSET for argument in given):
        raise InvalidUpdate("An erasure is one operation, with a reason", code="unexpected_argument", where=where)
    check_reason(op.value, f"{where}.value")


def erase(update: Update, accepted_at: int, replica: Replica) -> Outcome | None:
    """Process a checked erasure on the working copy of its row, whatever the horizon: a clock that is behind another
    region's must not keep anything from being erased.

    None, with nothing done, if the row has steps that are not written yet: that write has to be made first.
    """
    known = producers.recall(replica.memory, update.producer, update.sequence, update.sent_at)
    if isinstance(known, Outcome) and known.duplicate:
        return known
    if replica.because:
        return None
    producer, sequence, sent_at = update.producer, update.sequence, update.sent_at
    effects = [Effect(ERASE, field=str(update.ops[0].value))]
    memory = producers.erased(replica.memory, replica.region, producer, sequence, accepted_at)
    replica.erase(memory, Cause(replica.next_step, producer, sequence, sent_at, accepted_at, effects))
    return Outcome(Status.APPLIED)
