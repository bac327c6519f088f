"""One shard, read by one thread: read a batch -> handle it -> note how far.

The note comes after the work, so that a crash between the two repeats work and never skips it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from playerstate.core.leases import Lease
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, described
from playerstate.ports.leases import Leases
from playerstate.ports.shards import ShardReader

T = TypeVar("T")

BATCH_MAX = 1_000
IDLE_S = 0.25
"""How long a shard that had no full batch is left alone: Kinesis takes five reads of one in a second."""
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.05, 5.0

log = structlog.get_logger(__name__)


class ShardWork(Generic[T]):
    """What there is to do for a shard while its lease is ours."""

    def __init__(
        self, lease: Lease, leases: Leases, reader: ShardReader[T], handle: Callable[[Sequence[T]], object]
    ) -> None:
        self.shard_id = lease.shard_id
        self.done = False
        """Whether the shard has been read to its end, or is another worker's now."""
        self._owner = lease.owner
        self._leases = leases
        self._reader = reader
        self._handle = handle
        self._in_hand: Sequence[T] = ()
        self._position = lease.position
        self._ended = False
        self._unsaved = False

    def step(self, limit: int) -> int:
        """Take the next batch of at most `limit`, and return how many records it had.

        Whatever it raises, the next step goes on from there: what was read is handled before more is read, and what was
        handled is noted and not handled again.
        """
        if not self._in_hand and not self._unsaved:
            self._read(limit)
        taken = len(self._in_hand)
        if taken:
            self._handle(self._in_hand)
            self._in_hand = ()
        if self._unsaved:
            kept = self._leases.save(self.shard_id, self._owner, self._position, ended=self._ended)
            self._unsaved = False
            self.done = self._ended or not kept
        return taken

    def _read(self, limit: int) -> None:
        batch = self._reader.read(limit)
        if batch.trimmed:
            log.warning("records of a shard may have gone before they were read", shard=self.shard_id)
        self._in_hand = batch.records
        self._unsaved = batch.ended or batch.position != self._position
        self._position, self._ended = batch.position, batch.ended


class ShardThread(Generic[T]):
    """Does a shard's work until it is done or no longer ours. `on_end` gets the error that has ended it, if one has.

    `NotNow`, `OutcomeUnknown` and what nobody foresaw is tried again, with growing pauses and without end; every other
    `PlayerStateError` ends it.
    """

    def __init__(
        self,
        work: ShardWork[T],
        stage: str,
        on_end: Callable[[PlayerStateError | None], None],
        *,
        batch_max: int = BATCH_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        self._work = work
        self._stage = stage
        self._on_end = on_end
        self._batch_max = batch_max
        self._idle_s = idle_s
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"playerstate-{stage}-{work.shard_id}", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it still runs, if only to finish a batch."""
        return self._thread.is_alive()

    @property
    def working(self) -> bool:
        """Whether it will take further batches."""
        return self.alive and not self._leaving.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def leave(self) -> None:
        """Take no further batch."""
        self._leaving.set()

    def join(self) -> None:
        """Wait until the batch in hand is finished."""
        self._thread.join()

    def _run(self) -> None:
        backoff_s = BACKOFF_MIN_S
        while not self._leaving.is_set() and not self._work.done:
            try:
                taken = self._work.step(self._batch_max)
            except Exception as exc:
                if isinstance(exc, PlayerStateError) and not isinstance(exc, (NotNow, OutcomeUnknown)):
                    log.critical("a stage has stopped", stage=self._stage, error=described(exc))
                    self._on_end(exc)
                    return
                expected = isinstance(exc, PlayerStateError)
                log.warning("a stage tries again", stage=self._stage, error=described(exc), exc_info=not expected)
                self._leaving.wait(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                continue
            backoff_s = BACKOFF_MIN_S
            if taken < self._batch_max and not self._work.done:
                self._leaving.wait(self._idle_s)
        self._on_end(None)
