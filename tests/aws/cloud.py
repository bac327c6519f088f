"""The functions over the memory backends, driven by events that are made of what those hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from aws.envelopes import dynamodb_event, kinesis_event
from playerstate.aws.applying import Applying
from playerstate.aws.projecting import Projecting
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord
from stages.world import World


class Told:
    """What functions have emitted."""

    def __init__(self) -> None:
        self.lines: list[tuple[dict[str, Any], dict[str, str]]] = []

    def __call__(self, values: Mapping[str, float | Sequence[float]], **dimensions: str) -> None:
        self.lines.append((dict(values), dimensions))

    def total(self, name: str, **dimensions: str) -> float:
        """The sum of a figure over all that was told of it with these dimensions."""
        return sum(values.get(name, 0) for values, of in self.lines if of.items() >= dimensions.items())


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
