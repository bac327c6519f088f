"""What those who send updates are told, and what a node tells about itself."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from playerstate.core.findings import Finding
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


class VerificationStats(msgspec.Struct):
    """What verification has seen since its process started.

    Of `changes_checked` changes, `right_within_s` says by age in seconds ("1", "5", "60", "300") how many could be seen
    in the cache by then, and `changes_judged` how many were looked at or have become right before; `misses` were not in
    the cache at all, which is no fault. `shed` were not looked at, because too many waited. `keys_compared` is by place
    (`cache`, `graph`, `region:NAME`), `findings` by `place:kind`, `repairs` by what became of them; `not_checked` says
    why something was left out, and how often. `suspects` are disagreements that are not confirmed yet, `open` are
    findings that have not been put right. `sweep_keys` is how far the present walk through everything has come,
    `sweeps` how many were finished, and `sweep_s` how long the last one took.
    """

    changes_checked: int = 0
    changes_judged: dict[str, int] = {}
    right_within_s: dict[str, int] = {}
    misses: int = 0
    shed: int = 0
    waiting: int = 0
    keys_compared: dict[str, int] = {}
    findings: dict[str, int] = {}
    repairs: dict[str, int] = {}
    not_checked: dict[str, int] = {}
    suspects: int = 0
    open: int = 0
    sweep_keys: int = 0
    sweeps: int = 0
    sweep_s: float = 0.0


class Compared(msgspec.Struct):
    """What comparing some players came to, and the `cursor` to go on with, "" at the end.

    `keys` of about `keys_total` in the store were looked at. `compared`, `lagging` (older, as may be for a while) and
    `not_checked` are counts by place; the last is by place and why.
    """

    cursor: str
    keys: int
    keys_total: int
    compared: dict[str, int]
    lagging: dict[str, int]
    not_checked: dict[str, int]
    findings: list[Finding]


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
    verification: VerificationStats = msgspec.field(default_factory=VerificationStats)
