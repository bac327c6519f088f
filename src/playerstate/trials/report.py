"""What trials are asked for, and what came of them."""

from __future__ import annotations

import msgspec


class TrialOptions(msgspec.Struct, frozen=True):
    """How many rounds, in how many regions, drawn from which seed."""

    rounds: int = 10
    seed: int = 0
    regions: int = 3


class RoundReport(msgspec.Struct):
    """What a round came to. `unknown` and `refused` count deliveries, `acknowledged` and `applied` updates.

    `settled_s` is how long it took to come to rest once everything was put right; None if it did not.
    """

    number: int
    faults: list[str]
    acknowledged: int
    applied: int
    unknown: int
    refused: int
    reads: int
    settled_s: float | None
    seconds: float
    violations: list[str]


class TrialReport(msgspec.Struct):
    """What all rounds came to. The first round in which something is wrong is the last."""

    seed: int
    regions: int
    interrupted: bool = False
    rounds: list[RoundReport] = []
    violations: list[str] = []
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.violations
