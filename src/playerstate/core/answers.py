"""What those who send updates are told, and what a node tells about itself."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from playerstate.core.model import Identity
from playerstate.errors import InvalidUpdate


class Accepted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The update is on disk and will get an outcome. A client that gave the identity itself may
    send it again without harm.
    """

    producer: str
    sequence: int
    player_id: str
    state_key: str

    @property
    def identity(self) -> Identity:
        """What makes a retry harmless."""
        return Identity(self.producer, self.sequence, self.player_id, self.state_key)


class Rejected(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The update was not taken, and cannot be as it is. `code` is stable; `where` is a path such as `$.ops[0].n`."""

    code: str
    message: str
    where: str

    @classmethod
    def of(cls, error: InvalidUpdate) -> Rejected:
        """The answer that says what the error says."""
        return cls(error.code, str(error), error.where)


Answer: TypeAlias = Accepted | Rejected


class StageStats(msgspec.Struct):
    """What one stage has done since its process started.

    `processed` counts updates (accept, apply), changes (project), notices (link, audit); `lag` is how many of its
    inputs wait now; `cpu_s` is processor time, `failures` counts rounds that ended in an error and were repeated.
    """

    processed: int = 0
    lag: int = 0
    cpu_s: float = 0.0
    failures: int = 0
    last_error: str = ""


class Stats(msgspec.Struct):
    """What a node has done since it started. Freshness is from accepted to visible in the cache, in milliseconds.

    `freshness_ms` is a histogram: upper bound of a bucket -> how many updates; the last bound is infinite. `links` is,
    for each other region, how many of its changes have not been carried here.
    """

    region: str
    stages: dict[str, StageStats]
    outcomes: dict[str, int]
    freshness_ms: dict[str, int]
    dead_letters: int
    rows_written: int
    links: dict[str, int] = {}
