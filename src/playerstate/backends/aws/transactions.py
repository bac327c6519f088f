"""What DynamoDB says about a transaction, or a statement, that it has not carried out."""

from __future__ import annotations

from collections.abc import Iterable

from botocore.exceptions import ClientError

from playerstate.backends.aws.errors import THROTTLES
from playerstate.errors import PlayerStateError

ACTIONS_MAX = 100
"""What DynamoDB takes in a transaction."""

FAILED = frozenset({"ConditionalCheckFailed", "DuplicateItem"})
"""Codes of conditions that did not hold."""

BUSY = THROTTLES | {"TransactionConflict"}
"""Codes of what was not done, and may be in a moment."""

FAULT = "InternalServerError"
"""The code of what may have been done or not."""


def cancelled_for(error: PlayerStateError) -> str:
    """The code that decides why a transaction was cancelled; "" if that is not what the error says.

    A condition that failed will not hold again, so that it decides; what will not pass comes before what may.
    """
    return deciding(reasons_of(error))


def reasons_of(error: PlayerStateError) -> list[str]:
    """The code of each of a cancelled transaction's actions, "None" for those that it was not cancelled for; empty if
    that is not what the error says.
    """
    cause = error.__cause__
    reasons = cause.response.get("CancellationReasons", []) if isinstance(cause, ClientError) else []
    return [str(reason.get("Code", "None")) for reason in reasons]


def deciding(codes: Iterable[str]) -> str:
    """The code that decides, of several actions' codes; "" if there is none."""
    return min((code for code in codes if code != "None"), key=_weight, default="")


def _weight(code: str) -> int:
    if code in FAILED:
        return 0
    return 2 if code in BUSY or code == FAULT else 1
