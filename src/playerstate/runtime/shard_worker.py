"""A worker that reads a log's shards: with others like it, each shard is read by one of them, whoever comes and dies.

    leases, shards -> [which are mine] -> a thread a shard

A worker that was held up goes on with a shard that another one has taken over, until it notes how far it came or looks
at its leases: what handles the records stands being given them twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Generic, TypeVar

import structlog

from playerstate.core.leases import Lease, Shares
from playerstate.core.shards import readable
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, described
from playerstate.ports.leases import Leases
from playerstate.ports.shards import Shards
from playerstate.runtime.shard_work import BATCH_MAX, IDLE_S, ShardThread, ShardWork

T = TypeVar("T")

LEASE_S = 30.0
"""How long a lease that does not move is left alone."""
LOOKS_PER_LEASE = 3
"""How often in that time a worker moves its own leases, and looks at the others'."""

log = structlog.get_logger(__name__)


class ShardWorker(Generic[T]):
    """Reads its share of the shards.

    `handle` gets the batches of a shard one after the other, those of several shards at once, each from a thread of its
    own. It has to stand being given a batch again, and to put aside itself what can never be handled: `NotNow` and
    `OutcomeUnknown` are tried again without end, every other `PlayerStateError` stops the worker.

    `worker` names this one, and has to be new at every start.
    """

    def __init__(
        self,
        stage: str,
        shards: Shards[T],
        leases: Leases,
        handle: Callable[[Sequence[T]], object],
        *,
        worker: str,
        lease_s: float = LEASE_S,
        batch_max: int = BATCH_MAX,
        idle_s: float = IDLE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self.stage = stage
        self.worker = worker
        self._shards = shards
        self._leases = leases
        self._handle = handle
        self._look_every_s = lease_s / LOOKS_PER_LEASE
        self._batch_max = batch_max
        self._idle_s = idle_s
        self._monotonic_s = monotonic_s
        self._shares = Shares(worker, lease_s=lease_s, random=random or Random())  # noqa: S311 - jitter
        self._threads: dict[str, ShardThread[T]] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._fatal: PlayerStateError | None = None

    @property
    def owned(self) -> list[str]:
        """The shards that are read here now."""
        return sorted(shard_id for shard_id, thread in self._threads.copy().items() if thread.working)

    def run(self) -> None:
        """Work until `stop`. Raises the error that has stopped the worker, if one has."""
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    self.look()
                except (NotNow, OutcomeUnknown) as exc:
                    self._tell_trouble(exc)
                if not self._stopping.is_set():
                    self._wake.wait(self._look_every_s)
        finally:
            self._leave_all()
        if self._fatal is not None:
            raise self._fatal

    def stop(self) -> None:
        """Have `run` finish the batches in hand, give up its leases, and return."""
        self._stopping.set()
        self._wake.set()

    def look(self) -> None:
        """Move the own leases, see what others have, and take what is this worker's share."""
        self._threads = {shard_id: thread for shard_id, thread in self._threads.items() if thread.alive}
        for shard_id, thread in self._threads.items():
            if thread.working and not self._leases.renew(shard_id, self.worker):
                log.info("a shard is read elsewhere", stage=self.stage, shard=shard_id, worker=self.worker)
                thread.leave()
        leases = {lease.shard_id: lease for lease in self._leases.all()}
        shards = self._shards.shards()  # after the leases: what has one is then listed, if it is still there
        self._forget_gone(leases, {shard.shard_id for shard in shards})
        turn = readable(shards, {lease.shard_id for lease in leases.values() if lease.ended})
        taking = self._shares.to_take(turn, leases, self._monotonic_s())
        for shard_id in turn:
            lease = leases.get(shard_id)
            if shard_id in self._threads:
                continue  # one that was lost may still be at its last batch
            if shard_id in taking:
                lease = self._leases.take(shard_id, lease, self.worker)
            if lease is not None and lease.owner == self.worker:  # also if a call took it that had no answer
                self._begin(lease)

    def _forget_gone(self, leases: Mapping[str, Lease], listed: Collection[str]) -> None:
        for shard_id in leases.keys() - listed:
            if shard_id in self._threads:
                self._threads[shard_id].leave()
            if self._leases.remove(shard_id) and not leases[shard_id].ended:
                log.warning("a shard has gone before it was read to its end", stage=self.stage, shard=shard_id)

    def _begin(self, lease: Lease) -> None:
        log.info("a shard is read here", stage=self.stage, shard=lease.shard_id, worker=self.worker)
        reader = self._shards.reader(lease.shard_id, lease.position)
        work = ShardWork(lease, self._leases, reader, self._handle)
        thread = ShardThread(work, self.stage, self._ended, batch_max=self._batch_max, idle_s=self._idle_s)
        self._threads[lease.shard_id] = thread
        thread.start()

    def _ended(self, error: PlayerStateError | None) -> None:
        """A thread has no more to do: there may be children to read, or nothing at all."""
        if error is not None:
            self._fatal = error
            self._stopping.set()
        self._wake.set()

    def _leave_all(self) -> None:
        for thread in self._threads.values():
            thread.leave()
        for shard_id, thread in self._threads.items():
            thread.join()
            try:
                self._leases.release(shard_id, self.worker)
            except (NotNow, OutcomeUnknown) as exc:  # it is free when it has stood still for long enough
                self._tell_trouble(exc)

    def _tell_trouble(self, error: PlayerStateError) -> None:
        log.warning("leases cannot be looked after now", stage=self.stage, error=described(error))
