"""Messages in calls of ten, as SQS and SNS take them: what a call did not take is sent again.

A call takes some of its messages and leaves others; so "all or none" cannot be had beyond what one call takes or
leaves as a whole. Where it cannot be told, or some were taken and others were not, that is `OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from playerstate.backends.aws.bodies import MESSAGE_BYTES_MAX, Packed
from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.errors import THROTTLES
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, SlowDown, Unavailable

ENTRIES_MAX = 10

Entry: TypeAlias = dict[str, Any]
Call: TypeAlias = Callable[[Sequence[Entry]], dict[str, Any]]
"""Makes a call with these entries; its answer has `Successful` and `Failed`, by `Id`."""


def send_in_calls(clients: Clients, packed: Sequence[Packed], entry_of: Callable[[Packed], Entry], call: Call) -> None:
    """Send all messages. Raises `NotNow` if none was sent, `OutcomeUnknown` if some were, or may have been."""
    sent = 0
    for batch in _batches(packed):
        entries = {str(number): {"Id": str(number), **entry_of(one)} for number, one in enumerate(batch)}
        try:
            repeat(clients, entries, call)
        except NotNow as exc:
            if sent or len(entries) < len(batch):
                raise OutcomeUnknown(f"not all of {len(packed)} messages were sent: {exc}") from exc
            raise
        sent += len(batch)


def repeat(clients: Clients, entries: dict[str, Entry], call: Call) -> None:
    """Call until all entries are taken; those that are go out of `entries`. A bounded number of times.

    Raises what the call raises, and `NotNow` for entries that are not taken.
    """
    tries = 0
    while entries:
        failed = call(list(entries.values())).get("Failed", [])
        left = {one["Id"] for one in failed}
        for id_ in [id_ for id_ in entries if id_ not in left]:
            del entries[id_]
        tries += 1
        if failed and (tries == TRIES_MAX or any(one.get("SenderFault") for one in failed)):
            raise _refusal(failed)
        if failed:
            clients.pause(tries)


def _refusal(failed: Sequence[Entry]) -> PlayerStateError:
    codes = sorted({str(one.get("Code", "")) for one in failed})
    words = f"{len(failed)} messages were not taken: {', '.join(codes)}"
    return SlowDown(words) if THROTTLES.issuperset(codes) else Unavailable(words)


def _batches(packed: Sequence[Packed]) -> Iterator[list[Packed]]:
    """In order, as many in each as a call takes."""
    batch: list[Packed] = []
    size = 0
    for one in packed:
        if batch and (len(batch) == ENTRIES_MAX or size + one.size_bytes > MESSAGE_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size_bytes
    if batch:
        yield batch
