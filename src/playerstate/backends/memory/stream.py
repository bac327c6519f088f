"""The stream and the checkpoints, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.backends.memory.log import Log
from playerstate.ports.stream import NewRecord, StreamRecord


class MemoryStream:
    """A `Stream` of one shard."""

    def __init__(self) -> None:
        self._log: Log[bytes] = Log()

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append all of the records, or none, and return the position of the last."""
        return self._log.append(record.body for record in records)

    def read(self, after: int, limit: int) -> list[StreamRecord]:
        """The next records beyond a position."""
        return [StreamRecord(position, body) for position, body in self._log.read(after, limit)]

    def head(self) -> int:
        """The position of the last record."""
        return self._log.head()

    def trim(self, up_to: int) -> int:
        """Delete records up to a position."""
        return self._log.trim(up_to)


class MemoryCheckpoints:
    """`Checkpoints` that lose nothing while the process lives."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}

    def load(self, consumer: str) -> int:
        """The position saved last."""
        return self._positions.get(consumer, 0)

    def save(self, consumer: str, position: int) -> None:
        """Save a position."""
        self._positions[consumer] = position
