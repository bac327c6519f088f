"""What a function's answer means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws.polling.entries import first_of


def done_of_stream(response: Any, sequences: Sequence[str], *, reports: bool) -> int:
    """How many of a stream's batch, from its start, are done with: all is success, none is failure of the whole.

    "Configuring partial batch response with Kinesis Data Streams and Lambda" (and the same "with DynamoDB"): of the
    failures named the lowest sequence number counts, and everything from it on is tried again. A number that is not in
    the batch is not spoken of there; it counts as it does for queues, as failure of the whole. Without
    `ReportBatchItemFailures` an answer means nothing.
    """
    if not reports:
        return len(sequences)
    named = _named(response)
    if named is None or not set(named) <= set(sequences):
        return 0
    return sequences.index(first_of(named)) if named else len(sequences)


def failed_of_queue(response: Any, message_ids: Sequence[str], *, reports: bool) -> set[str]:
    """Which of a queue's batch have failed, and come again once they are visible.

    "Implementing partial batch responses", of queues: an id that is not in the batch makes all of it fail.
    """
    if not reports:
        return set()
    named = _named(response)
    return set(message_ids) if named is None or not set(named) <= set(message_ids) else set(named)


def _named(response: Any) -> list[str] | None:
    """The identifiers that an answer names; None if it makes the whole batch fail.

    "Success and failure conditions": an empty or null answer, and an empty or null list, are success; an identifier
    that is empty, null or under another name is failure of the whole.
    """
    if response is None:
        return []
    if not isinstance(response, dict):
        return None
    failures = response.get("batchItemFailures")
    if failures is None:
        return []
    if not isinstance(failures, list):
        return None
    named = [failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures]
    return named if all(isinstance(name, str) and name for name in named) else None
