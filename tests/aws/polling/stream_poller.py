"""A mapping of a Kinesis or DynamoDB stream, moved by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from random import Random
from typing import Any

from aws.polling.batching import due, lane_of
from aws.polling.destinations import RETRIES_EXHAUSTED, TOO_OLD, Destination, Discarded
from aws.polling.entries import Entry, payload_bytes
from aws.polling.invocation import Answered, Outcome
from aws.polling.responses import done_of_stream
from aws.polling.retrying import Attempt, after_call, too_old
from aws.polling.settings import MappingSettings
from aws.polling.shards import Shard, Shards
from aws.polling.sources import Source
from playerstate.ports.clock import Clock


class Lane:
    """One of a shard's concurrent batches: what is under way, before what waits. Its order is never left."""

    def __init__(self) -> None:
        self.under_way: deque[Attempt] = deque()
        self.waiting: deque[Entry] = deque()
        self.since_ms = 0
        """When the first that waits was read."""

    @property
    def empty(self) -> bool:
        """Whether nothing is left to send."""
        return not self.under_way and not self.waiting


class Line:
    """A shard as it is being read: what lies behind its checkpoint, and what of that is done with."""

    def __init__(self, shard: Shard, lanes: int) -> None:
        self.shard = shard
        self.lanes = [Lane() for _ in range(lanes)]
        self.checkpoint = ""
        """The number up to which, and with it, everything is done with."""
        self._behind: deque[Entry] = deque()
        self._done: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether all that was read is done with."""
        return not self._behind

    def take(self, entry: Entry, now_ms: int) -> None:
        """Put a record in its lane."""
        self._behind.append(entry)
        self._enqueue(entry, now_ms)

    def finish(self, entries: tuple[Entry, ...]) -> None:
        """Note what is done with, or discarded, and move the checkpoint as far as nothing is left out."""
        self._done.update(entry.sequence for entry in entries)
        while self._behind and self._behind[0].sequence in self._done:
            self.checkpoint = self._behind.popleft().sequence
            self._done.discard(self.checkpoint)

    def restart(self, now_ms: int) -> None:
        """Begin again behind the checkpoint; what other lanes had done beyond it comes again."""
        self._done.clear()
        self.lanes = [Lane() for _ in self.lanes]
        for entry in self._behind:
            self._enqueue(entry, now_ms)

    def _enqueue(self, entry: Entry, now_ms: int) -> None:
        lane = self.lanes[lane_of(entry.hash, len(self.lanes))]
        if not lane.waiting:
            lane.since_ms = now_ms
        lane.waiting.append(entry)


class StreamPoller:
    """Reads a source, and calls a function with batches of it, one at every step.

    `random` says which shard and lane is next among those that have something to send. What is read is in memory, and
    the checkpoints too: a `restart` loses the one and keeps the other.
    """

    def __init__(
        self,
        source: Source,
        invoke: Callable[[Mapping[str, Any]], Outcome],
        settings: MappingSettings,
        clock: Clock,
        random: Random,
        *,
        shards: Shards | None = None,
        on_failure: Destination | None = None,
    ) -> None:
        self.shards = shards or Shards()
        self.discarded: list[Discarded] = []
        self._source = source
        self._invoke = invoke
        self._settings = settings
        self._clock = clock
        self._random = random
        self._on_failure = on_failure
        self._lines: dict[str, Line] = {}

    @property
    def idle(self) -> bool:
        """Whether all that has been read is done with."""
        return all(line.empty for line in self._lines.values())

    def checkpoints(self) -> dict[str, str]:
        """How far each shard is done with."""
        return {shard_id: line.checkpoint for shard_id, line in self._lines.items() if line.checkpoint}

    def read(self) -> int:
        """Take in what has come; how much that was."""
        now, entries = self._clock.now_ms(), self._source.read()
        for entry in entries:
            self._line(self.shards.at(entry.hash)).take(entry, now)
        return len(entries)

    def step(self) -> int:
        """Read, and send one batch if one is due; how many records it had."""
        self.read()
        ready = [(line, lane) for line in self._readable() for lane in line.lanes if self._prepare(line, lane)]
        if not ready:
            return 0
        line, lane = self._random.choice(ready)
        return self._send(line, lane)

    def restart(self) -> None:
        """Begin again at the checkpoints, as when Lambda moves a mapping's work to another machine."""
        for line in self._lines.values():
            line.restart(self._clock.now_ms())

    def _line(self, shard: Shard) -> Line:
        line = self._lines.get(shard.shard_id)
        if line is None:
            line = self._lines[shard.shard_id] = Line(shard, self._settings.parallelization_factor)
        return line

    def _readable(self) -> list[Line]:
        finished = {
            shard_id
            for shard_id in self.shards.all
            if shard_id not in self.shards.open and (shard_id not in self._lines or self._lines[shard_id].empty)
        }
        finished = self._finished_with_ancestors(finished)
        return [line for line in self._lines.values() if self.shards.may_be_read(line.shard, finished)]

    def _finished_with_ancestors(self, finished: set[str]) -> set[str]:
        """Those whose parents are finished too: an empty shard may have parents that are not."""
        whole: set[str] = set()
        for shard_id, shard in self.shards.all.items():  # parents stand before their children
            if shard_id in finished and all(parent in whole for parent in shard.parents):
                whole.add(shard_id)
        return whole

    def _prepare(self, line: Line, lane: Lane) -> bool:
        """Whether a lane has a batch to send: what failed before, or what is due of what waits."""
        now = self._clock.now_ms()
        if not lane.under_way and lane.waiting:
            first = islice(lane.waiting, self._settings.batch_size_max + 1)
            sizes = [payload_bytes(self._record(line, entry)) for entry in first]
            count = due(sizes, now - lane.since_ms, self._settings)
            if count:
                lane.under_way.append(Attempt(tuple(lane.waiting.popleft() for _ in range(count))))
                lane.since_ms = now
        return bool(lane.under_way)

    def _send(self, line: Line, lane: Lane) -> int:
        old, attempt = too_old(lane.under_way.popleft(), self._clock.now_ms(), self._settings)
        if old:
            self._discard(line, old, TOO_OLD, function_error=False)
        if attempt is None:
            return len(old.entries) if old else 0
        outcome = self._invoke(self._event(line, attempt))
        done = self._done(outcome, attempt)
        line.finish(attempt.entries[:done])
        after = after_call(attempt, done, self._settings)
        lane.under_way.extendleft(reversed(after.again))
        if after.discarded:
            self._discard(line, after.discarded, RETRIES_EXHAUSTED, function_error=not isinstance(outcome, Answered))
        return len(attempt.entries)

    def _done(self, outcome: Outcome, attempt: Attempt) -> int:
        if not isinstance(outcome, Answered):
            return 0
        sequences = [entry.sequence for entry in attempt.entries]
        return done_of_stream(outcome.response, sequences, reports=self._settings.reports_item_failures)

    def _discard(self, line: Line, attempt: Attempt, condition: str, *, function_error: bool) -> None:
        discarded = Discarded(
            self._source.kind,
            self._source.arn,
            line.shard.shard_id,
            attempt.entries,
            condition,
            attempt.calls,
            function_error,
            self._event(line, attempt),
        )
        if self._on_failure is not None:
            self._on_failure.put(discarded, self._clock.now_ms())
        self.discarded.append(discarded)
        line.finish(attempt.entries)

    def _event(self, line: Line, attempt: Attempt) -> dict[str, Any]:
        return {"Records": [self._record(line, entry) for entry in attempt.entries]}

    def _record(self, line: Line, entry: Entry) -> dict[str, Any]:
        return self._source.record(entry, line.shard.shard_id)
