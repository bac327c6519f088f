"""Consumers: each takes a batch from a source, has a stage handle it, and notes how far it has come.

The note comes after the work, so that a crash between the two repeats work and never skips it. There is a module for
each: `applying`, `projecting`, `messages` (of a consumer group's queue), `replicating`, `resolving`, `verifying`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from playerstate.core.answers import RetentionStats, StageStats, VerificationStats
from playerstate.core.model import Stage


class Report(msgspec.Struct):
    """What consumers have done since their process started. `applied_to` is apply's place on the stream.

    `links` is, for each region that this one hears of, how many of its changes have not been carried here.
    """

    alive: bool = True
    stages: dict[Stage, StageStats] = msgspec.field(default_factory=dict)
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    rows_written: int = 0
    applied_to: int = 0
    freshness_ms: dict[str, int] = msgspec.field(default_factory=dict)
    links: dict[str, int] = msgspec.field(default_factory=dict)
    verification: VerificationStats = msgspec.field(default_factory=VerificationStats)
    freshness_sum_ms: int = 0
    conflicts_resolved: int = 0
    retention: dict[str, RetentionStats] = msgspec.field(default_factory=dict)


class Consumer(Protocol):
    """Something that a loop can drive.

    `linger_s` is how long to leave a source alone after a step that did not fill a batch, so that more comes together.
    """

    name: Stage
    stats: StageStats
    linger_s: float
    batch_max: int

    def step(self) -> int:
        """Take one batch and return how many inputs it had; 0 if there was nothing to do."""
        ...

    def tell(self, report: Report) -> None:
        """Add to a report what only this consumer knows."""
        ...
