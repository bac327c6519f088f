"""The stream of accepted updates, between accept and apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class NewRecord(NamedTuple):
    """A record to append; records of one `partition` keep their order."""

    partition: str
    body: bytes


class StreamRecord(NamedTuple):
    """A record as it lies on the stream. Positions rise, and need not be dense."""

    position: int
    body: bytes


class Appender(Protocol):
    """The side of a log that takes records: all that accept asks for.

    - **Durable**: when `append` returns, its records survive any crash of the process and of the machine.
    - **Ordered**: records of one partition, of one call and of calls that follow one another, stand in the order in
      which they were appended. A record may stand there more than once, the first of them in that order.
    """

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append the records and return the position of the last one.

        Raises `NotNow` if nothing was appended, `OutcomeUnknown` if that cannot be told, or if some were.
        """
        ...


class Stream(Appender, Protocol):
    """An ordered, durable log of one shard.

    - **Ordered**: records are read in the order of their positions; those of one call, and those of calls that follow
      one another, stand in the order in which they were appended, whatever their partition, and once.
    - **Complete**: a reader that goes on from the last position it saw misses nothing, whatever was appended meanwhile.
    - **At least once**: after a crash a reader begins again at its last checkpoint.
    """

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append all of the records, or none, and return the position of the last.

        Raises `Unavailable` if nothing was appended, `OutcomeUnknown` if that cannot be told.
        """
        ...

    def read(self, after: int, limit: int) -> list[StreamRecord]:
        """The next records beyond the position `after`, at most `limit`; none if there are none yet."""
        ...

    def head(self) -> int:
        """The position of the last record; 0 before the first."""
        ...

    def trim(self, up_to: int) -> int:
        """Delete records up to a position that every consumer has processed. Returns how many went."""
        ...


class Checkpoints(Protocol):
    """How far each consumer of an ordered source has come.

    A checkpoint may be lost in a crash, never be ahead of what was saved: a consumer then processes again what it had
    processed.
    """

    def load(self, consumer: str) -> int:
        """The position saved last; 0 before the first."""
        ...

    def save(self, consumer: str, position: int) -> None:
        """Save a position."""
        ...
