"""What becomes of a stream's batch after a call, and before the next. Pure."""

from __future__ import annotations

from typing import NamedTuple

from aws.polling.entries import Entry
from aws.polling.settings import MappingSettings


class Attempt(NamedTuple):
    """A batch that is to be sent: how often it was tried again already, and how often sent in any form."""

    entries: tuple[Entry, ...]
    retries: int = 0
    calls: int = 0


class After(NamedTuple):
    """What is left of a batch after a call: to be sent again, in this order before anything behind it; or to let go."""

    again: tuple[Attempt, ...] = ()
    discarded: Attempt | None = None


def after_call(attempt: Attempt, done: int, settings: MappingSettings) -> After:
    """What follows when so many of a batch's records, from its start, are done with.

    - "Error handling", `MaximumRetryAttempts`: a batch that failed is sent again, so many times at most, and is then
      discarded. -1 is without limit.
    - `BisectBatchOnFunctionError`: a batch that failed whole is split in two, each half sent on its own, the first
      before the second; splitting uses up no retry.
    - Both with partial responses: the batch is split where the response says, and only the rest is sent again, which
      uses up no retry either. A response that names the first record has split nothing off: that is a failure of all.

    Whether a partial response without bisecting uses up a retry is not said there; here it does, which discards sooner.
    """
    left = attempt.entries[done:]
    calls = attempt.calls + 1
    if not left:
        return After()
    if settings.bisects_on_function_error and done:
        return After((Attempt(left, attempt.retries, calls),))
    if settings.bisects_on_function_error and len(left) > 1:
        middle = len(left) // 2
        return After(
            (Attempt(left[:middle], attempt.retries, calls), Attempt(left[middle:], attempt.retries, calls)),
        )
    tried = Attempt(left, attempt.retries + 1, calls)
    if 0 <= settings.retry_attempts_max < tried.retries:
        return After(discarded=tried)
    return After((tried,))


def too_old(attempt: Attempt, now_ms: int, settings: MappingSettings) -> tuple[Attempt | None, Attempt | None]:
    """The part of a batch that is too old to be sent, and the rest.

    `MaximumRecordAgeInSeconds`: records older than that are discarded, sent before or not. Records of a shard arrive in
    order, so those are the first ones.
    """
    if settings.record_age_ms_max < 0:
        return None, attempt
    count = 0
    for entry in attempt.entries:
        if now_ms - entry.arrived_at_ms <= settings.record_age_ms_max:
            break
        count += 1
    old, rest = attempt.entries[:count], attempt.entries[count:]
    return (attempt._replace(entries=old) if old else None), (attempt._replace(entries=rest) if rest else None)
