"""What those who send updates are told, and what a node tells about itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
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

    `processed` counts updates (apply), changes (project, replicate), notices (link, audit) or keys (resolve); `lag` is
    how many of its inputs wait now; `cpu_s` is processor time, `failures` counts rounds that ended in an error and were
    repeated. One that has `halted` takes no further step.
    """

    processed: int = 0
    lag: int = 0
    cpu_s: float = 0.0
    failures: int = 0
    last_error: str = ""
    halted: bool = False


class AcceptStats(msgspec.Struct, frozen=True):
    """What accept has answered since the node started: updates `accepted`, `rejected` by the code that they were told,
    and calls that were `slowed_down`.

    `senders_ahead_s` is by how much the clock of a sender was ahead of the node's at most, in the last minute.
    """

    accepted: int = 0
    rejected: dict[str, int] = {}
    slowed_down: int = 0
    senders_ahead_s: float = 0.0


class ProcessStats(msgspec.Struct, frozen=True):
    """The node's own process, its machine, and what it looks after.

    `started_at` is in ms since 1970; `clock_jump_s` is the furthest that the machine's clock has been set in the last
    minute, in either direction; `untrimmed_s` is how long ago the rule `stream` of retention was last enforced.
    The disk is that of the data folder.
    """

    version: str = ""
    started_at: int = 0
    cpu_s: float = 0.0
    clock_jump_s: float = 0.0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    cache_restarts: int = 0
    worker_restarts: int = 0
    untrimmed_s: float = 0.0


class Severity(StrEnum):
    """How much an alarm matters."""

    WARNING = "warning"
    """Somebody should look, today."""
    CRITICAL = "critical"
    """Something is wrong, or soon will be: look now."""


class Alarm(msgspec.Struct, frozen=True):
    """An alarm that fires, `since` a time (ms). Its `value` has reached the `threshold` (from above, for what is free).

    `subject` is the stage or the region that it is about, if it is about one; `remedy` says what to do. Neither these
    nor the message hold anything of players.
    """

    name: str
    severity: Severity
    since: int
    value: float
    threshold: float
    message: str
    remedy: str
    subject: str = ""


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

    def with_found(self, findings: Mapping[str, int], repairs: Mapping[str, int]) -> VerificationStats:
        """With what somebody else has found, and what became of that."""
        return msgspec.structs.replace(
            self, findings=_sums(self.findings, findings), repairs=_sums(self.repairs, repairs)
        )


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


class RetentionStats(msgspec.Struct):
    """What one rule of retention has done since its process started: how much went, when (ms) it was last enforced, and
    what hindered it since.
    """

    deleted: int = 0
    last_run_at: int = 0
    last_error: str = ""


class SettingTold(msgspec.Struct, frozen=True):
    """One setting as it is in force, and whether it was set or has its default."""

    value: bool | int | float
    default: bool | int | float
    is_set: bool


class SettingsTold(msgspec.Struct, frozen=True):
    """All settings of a node by `section.name`; `problem` says why the file is not what is in force, if it is not."""

    settings: dict[str, SettingTold] = {}
    problem: str = ""


class Stats(msgspec.Struct):
    """What a node has done since it started. Freshness is from accepted to visible in the cache, in milliseconds.

    `freshness_ms` is a histogram: upper bound of a bucket -> how many updates; the last bound is infinite; their ages
    together are `freshness_sum_ms`. `links` is, for each other region, how many of its changes have not been carried
    here. `conflicts_resolved` counts rows in which concurrent ones were joined. Of the `dead_letters` some stand in
    `dead_letters_by_stage`, and the oldest has been there for `dead_letters_oldest_s`. `retention` is by rule. `alarms`
    are those that fire.
    """

    region: str
    stages: dict[str, StageStats]
    outcomes: dict[str, int]
    freshness_ms: dict[str, int]
    dead_letters: int
    rows_written: int
    links: dict[str, int] = {}
    verification: VerificationStats = msgspec.field(default_factory=VerificationStats)
    accept: AcceptStats = AcceptStats()
    process: ProcessStats = ProcessStats()
    conflicts_resolved: int = 0
    freshness_sum_ms: int = 0
    dead_letters_by_stage: dict[str, int] = {}
    dead_letters_oldest_s: float = 0.0
    retention: dict[str, RetentionStats] = {}
    alarms: list[Alarm] = []


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
