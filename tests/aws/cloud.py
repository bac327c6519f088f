"""The functions over the memory backends, driven by events that are made of what those hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

from aws.envelopes import dynamodb_event, kinesis_event
from playerstate.aws.applying import Applying
from playerstate.aws.projecting import Projecting
from playerstate.backends.aws.emf import AwsMetric
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord
from stages.world import World


class Told:
    """What functions have emitted."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[AwsMetric, tuple[str, ...]]] = Counter()
        self.observed: list[tuple[AwsMetric, float]] = []

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        assert len(dimensions) == len(metric.dimensions)
        self.counted[metric, dimensions] += n

    def observe(self, metric: AwsMetric, values: Iterable[float], *dimensions: str) -> None:
        assert len(dimensions) == len(metric.dimensions)
        self.observed += [(metric, value) for value in values]

    def flush(self) -> None:
        """Nothing is held back."""

    def counted_of(self, metric: AwsMetric) -> list[tuple[AwsMetric, tuple[str, ...]]]:
        """What was counted of a metric, by dimensions."""
        return [name for name in self.counted if name[0] is metric]

    def total(self, metric: AwsMetric, *dimensions: str) -> int:
        """How much was counted of a metric, with these dimensions or, without any, with all."""
        return sum(n for (one, of), n in self.counted.items() if one is metric and of[: len(dimensions)] == dimensions)


class Cloud(World):
    """A world whose apply and project are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.told = Told()
        self.rechecks = MemoryQueue(self.clock, Random(0))
        self.applying = Applying(self.apply, self.dead_letters, self.clock, self.told)
        self.projecting = Projecting(self.project, self.dead_letters, self.rechecks, self.clock, self.told)

    def on_stream(self) -> list[StreamRecord]:
        """All that was accepted."""
        return self.stream.read(0, 10_000)

    def changes(self) -> list[Change]:
        """All that was written."""
        return self.store.changes.read(0, 10_000)

    def run_apply(self) -> Any:
        """One event with all that was accepted."""
        return self.applying(kinesis_event(self.on_stream()))

    def run_project(self) -> Any:
        """One event with all that was written."""
        return self.projecting(dynamodb_event(self.changes()))
