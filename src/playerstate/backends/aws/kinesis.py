"""The stream of accepted updates on Kinesis: the side that takes records.

Kinesis keeps the order of one partition key, and may fail some records of a call while it takes others. So no call
holds two records of one partition: the next is sent when the one before it is known to be there.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.errors import THROTTLES
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, SlowDown
from playerstate.ports.stream import NewRecord

RECORDS_PER_CALL_MAX = 500
BYTES_PER_CALL_MAX = 5 * 1024 * 1024
"""Partition keys included."""
PARTITION_KEY_LENGTH_MAX = 256


class KinesisStream:
    """An `Appender`.

    A record that fails is tried again a few times, after those of other partitions. It may then stand on the stream
    more than once, for a call that timed out may have had its effect.
    """

    def __init__(self, clients: Clients, stream_name: str) -> None:
        self._clients = clients
        self._stream_name = stream_name

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append the records and return the position of the last one; 0 if there is none.

        Positions of different shards cannot be compared. A record that fails for good ends the call: what then has not
        been sent is not sent.
        """
        call = _Call(records)
        while call.waiting:
            while batch := call.next_batch():
                self._put(call, batch)
                if call.given_up is not None:
                    raise call.comes_to(call.given_up)
            if call.waiting:
                self._clients.pause(call.tries)
                call.send_failed_again()
        return call.position

    def _put(self, call: _Call, batch: Sequence[_Entry]) -> None:
        entries = [{"Data": entry.body, "PartitionKey": entry.partition_key} for entry in batch]
        try:
            answer = self._clients.write("kinesis", "put_records", StreamName=self._stream_name, Records=entries)
        except OutcomeUnknown as exc:
            for entry in batch:
                call.failed(entry, exc)
            return
        except NotNow as exc:  # it has been tried again there, or cannot pass
            raise call.comes_to(exc) from exc
        for entry, result in zip(batch, answer["Records"], strict=True):
            code = result.get("ErrorCode")
            if not code:
                call.succeeded(entry, int(result["SequenceNumber"]))
            elif code in THROTTLES:
                call.failed(entry, SlowDown(f"kinesis put_records: {code}"))
            else:
                call.failed(entry, OutcomeUnknown(f"kinesis put_records: {code}"))


class _Entry(NamedTuple):
    """A record and its place in the call."""

    place: int
    partition_key: str
    body: bytes


class _Call:
    """What an append has still to do: a line for each partition, of which only the first may be sent."""

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self.position = 0
        self.given_up: PlayerStateError | None = None
        self._lines: dict[str, deque[_Entry]] = {}
        for place, record in enumerate(records):
            key = partition_key(record.partition)
            self._lines.setdefault(key, deque()).append(_Entry(place, key, record.body))
        self._last = len(records) - 1
        self._ready = deque(self._lines)
        self._failed: list[str] = []
        self._tries_of: dict[str, int] = {}
        self._appended = False

    @property
    def waiting(self) -> bool:
        """Whether there are records that are not known to be there."""
        return bool(self._lines)

    @property
    def tries(self) -> int:
        """How often the record that fails most has been sent."""
        return max(self._tries_of.values(), default=0)

    def next_batch(self) -> list[_Entry]:
        """As many records as one call takes, of as many partitions; none if only failed ones are left."""
        batch: list[_Entry] = []
        size = 0
        while self._ready and len(batch) < RECORDS_PER_CALL_MAX:
            entry = self._lines[self._ready[0]][0]
            size += len(entry.body) + len(entry.partition_key.encode())
            if batch and size > BYTES_PER_CALL_MAX:
                break
            batch.append(entry)
            self._ready.popleft()
        return batch

    def succeeded(self, entry: _Entry, position: int) -> None:
        """A record is there: the next one of its partition may follow."""
        self._appended = True
        if entry.place == self._last:
            self.position = position
        key = entry.partition_key
        self._tries_of.pop(key, None)
        line = self._lines[key]
        line.popleft()
        if line:
            self._ready.append(key)
        else:
            del self._lines[key]

    def failed(self, entry: _Entry, error: PlayerStateError) -> None:
        """A record is not there, or not known to be."""
        if isinstance(error, OutcomeUnknown):
            self._appended = True
        key = entry.partition_key
        tries = self._tries_of[key] = self._tries_of.get(key, 0) + 1
        if tries == TRIES_MAX:
            self.given_up = error
        self._failed.append(key)

    def send_failed_again(self) -> None:
        """Let the failed ones have their turn."""
        self._ready.extend(self._failed)
        self._failed.clear()

    def comes_to(self, error: PlayerStateError) -> PlayerStateError:
        """What an append comes to that an error has ended."""
        if self._appended and not isinstance(error, OutcomeUnknown):
            return OutcomeUnknown(f"{error}; other records of the call are on the stream, or may be")
        return error


def partition_key(partition: str) -> str:
    """The partition itself, or its SHA-256 where it is longer than Kinesis takes."""
    if len(partition) <= PARTITION_KEY_LENGTH_MAX:
        return partition
    return hashlib.sha256(partition.encode()).hexdigest()
