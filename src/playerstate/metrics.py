"""Every metric that there is: what it is called, its unit, its labels, what it means, and how it follows from `Stats`.

Names are those of Prometheus: base units, `_total` for what only grows, which begins anew with its process. Every one
has the label `region` besides its own. No label's value comes from a player or an update, so their number is bounded by
the stages, regions, codes and rules that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from playerstate.core.answers import StageStats, Stats

Samples: TypeAlias = Mapping[tuple[str, ...], float]
"""Values by the values of the labels, in the order of the metric's labels."""


class Kind(StrEnum):
    """What can be done with a metric's values."""

    COUNTER = "counter"
    """It only grows; look at its rate."""
    GAUGE = "gauge"
    """It is what it is now."""
    HISTOGRAM = "histogram"
    """Counts by upper bound (`le`), their sum and their number."""


class Metric(NamedTuple):
    """A metric. A histogram's samples are by upper bound, with what lies in that bucket alone; `sums` adds all up."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[Stats], Samples]
    sums: Callable[[Stats], float] | None = None


class Sample(NamedTuple):
    """One value of a metric."""

    metric: Metric
    labels: Mapping[str, str]
    value: float


def samples_of(stats: Stats) -> list[Sample]:
    """All values that follow from a node's figures, but for the label `region`, in the order of the list."""
    return [
        Sample(metric, dict(zip(metric.labels, labels, strict=True)), value)
        for metric in METRICS
        for labels, value in metric.samples(stats).items()
    ]


def _one(value: Callable[[Stats], float]) -> Callable[[Stats], Samples]:
    return lambda stats: {(): value(stats)}


def _by(counts: Callable[[Stats], Mapping[str, float]]) -> Callable[[Stats], Samples]:
    return lambda stats: {(label,): count for label, count in counts(stats).items()}


def _by_two(counts: Callable[[Stats], Mapping[str, float]], *, last: bool = False) -> Callable[[Stats], Samples]:
    """Of counts by `one:two`, or by `one` alone. Where it is the `last` colon that divides, `one` may have some too."""

    def samples(stats: Stats) -> Samples:
        found: dict[tuple[str, ...], float] = {}
        for name, count in counts(stats).items():
            one, _, two = name.rpartition(":") if last else name.partition(":")
            found[one, two] = count
        return found

    return samples


def _by_stage(value: Callable[[StageStats], float]) -> Callable[[Stats], Samples]:
    return lambda stats: {(name,): value(stage) for name, stage in stats.stages.items()}


def _shares_right(stats: Stats) -> Samples:
    found = stats.verification
    return {(age,): found.right_within_s.get(age, 0) / n for age, n in found.changes_judged.items() if n}


def _build(stats: Stats) -> Samples:
    return {(stats.process.version,): 1}


def _freshness(stats: Stats) -> Samples:
    return {("+Inf" if bound == "inf" else f"{int(bound) / 1000:g}",): n for bound, n in stats.freshness_ms.items()}


def _clocks(stats: Stats) -> Samples:
    return {("senders",): stats.accept.senders_ahead_s, ("machine",): stats.process.clock_jump_s}


def _alarms(stats: Stats) -> Samples:
    return {(alarm.name, alarm.subject, alarm.severity.value): 1 for alarm in stats.alarms}


COUNTER, GAUGE, HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

# fmt: off
METRICS: Sequence[Metric] = (
    Metric("playerstate_build_info", GAUGE, "", ("version",),
        "1; which version the node is", _build),
    Metric("playerstate_start_time_seconds", GAUGE, "seconds", (),
        "when the node started, since 1970", _one(lambda s: s.process.started_at / 1000)),
    Metric("playerstate_process_cpu_seconds_total", COUNTER, "seconds", (),
        "processor time of the node's own process, without its workers", _one(lambda s: s.process.cpu_s)),

    Metric("playerstate_updates_accepted_total", COUNTER, "updates", (),
        "accepted: on disk, and will get an outcome", _one(lambda s: s.accept.accepted)),
    Metric("playerstate_updates_rejected_total", COUNTER, "updates", ("code",),
        "rejected when they were sent, by the code that was answered", _by(lambda s: s.accept.rejected)),
    Metric("playerstate_calls_slowed_down_total", COUNTER, "calls", (),
        "calls asked to come again, because too much waited for apply", _one(lambda s: s.accept.slowed_down)),
    Metric("playerstate_updates_total", COUNTER, "updates", ("outcome", "reason"),
        "finished by apply: what became of them, `duplicate` for repeats, and why they were refused",
        _by_two(lambda s: s.outcomes)),
    Metric("playerstate_rows_written_total", COUNTER, "rows", (),
        "rows that apply has written", _one(lambda s: s.rows_written)),
    Metric("playerstate_freshness_seconds", HISTOGRAM, "seconds", ("le",),
        "from accepted to visible in the cache, by update", _freshness, lambda s: s.freshness_sum_ms / 1000),

    Metric("playerstate_stage_processed_total", COUNTER, "inputs", ("stage",),
        "processed: updates (apply), changes (project, replicate), notices (link, audit), keys (resolve)",
        _by_stage(lambda stage: stage.processed)),
    Metric("playerstate_stage_lag", GAUGE, "inputs", ("stage",),
        "what waits: records (apply), changes (project, replicate), messages on its queue (the others)",
        _by_stage(lambda stage: stage.lag)),
    Metric("playerstate_stage_failures_total", COUNTER, "rounds", ("stage",),
        "rounds that failed and were repeated", _by_stage(lambda stage: stage.failures)),
    Metric("playerstate_stage_cpu_seconds_total", COUNTER, "seconds", ("stage",),
        "processor time of its thread", _by_stage(lambda stage: stage.cpu_s)),
    Metric("playerstate_stage_halted", GAUGE, "", ("stage",),
        "1 if it has stopped for good, otherwise 0", _by_stage(lambda stage: stage.halted)),

    Metric("playerstate_dead_letters", GAUGE, "letters", (),
        "dead letters that are there", _one(lambda s: s.dead_letters)),
    Metric("playerstate_dead_letters_by_stage", GAUGE, "letters", ("stage",),
        "the same, by the stage that could not take them", _by(lambda s: s.dead_letters_by_stage)),
    Metric("playerstate_dead_letters_oldest_seconds", GAUGE, "seconds", (),
        "how long the oldest has been there; 0 if there is none", _one(lambda s: s.dead_letters_oldest_s)),

    Metric("playerstate_way_lag", GAUGE, "changes", ("source",),
        "changes of another region that wait on their way here", _by(lambda s: s.links)),
    Metric("playerstate_conflicts_resolved_total", COUNTER, "rows", (),
        "rows in which this region has joined concurrent ones", _one(lambda s: s.conflicts_resolved)),

    Metric("playerstate_verification_changes_total", COUNTER, "changes", (),
        "changes that verification has taken up", _one(lambda s: s.verification.changes_checked)),
    Metric("playerstate_verification_judged_total", COUNTER, "changes", ("within_seconds",),
        "those that were looked at in the cache by that age, or had become right before",
        _by(lambda s: s.verification.changes_judged)),
    Metric("playerstate_verification_right_total", COUNTER, "changes", ("within_seconds",),
        "those of them that could be seen in the cache", _by(lambda s: s.verification.right_within_s)),
    Metric("playerstate_verification_right_share", GAUGE, "share", ("within_seconds",),
        "`right` divided by `judged`, since the start; for a window divide their increases", _shares_right),
    Metric("playerstate_verification_misses_total", COUNTER, "changes", (),
        "changes whose key was not in the cache at all, which is no fault", _one(lambda s: s.verification.misses)),
    Metric("playerstate_verification_shed_total", COUNTER, "changes", (),
        "changes that were not looked at, because too many waited", _one(lambda s: s.verification.shed)),
    Metric("playerstate_verification_waiting", GAUGE, "changes", (),
        "changes that wait to be looked at", _one(lambda s: s.verification.waiting)),
    Metric("playerstate_verification_keys_compared_total", COUNTER, "keys", ("place",),
        "keys compared with the store: in the `cache`, the `graph`, another region (`region:NAME`)",
        _by(lambda s: s.verification.keys_compared)),
    Metric("playerstate_verification_not_checked_total", COUNTER, "keys", ("reason",),
        "what was left out, and why", _by(lambda s: s.verification.not_checked)),
    Metric("playerstate_verification_suspects", GAUGE, "keys", (),
        "disagreements that are not confirmed yet", _one(lambda s: s.verification.suspects)),
    Metric("playerstate_verification_sweep_keys", GAUGE, "keys", (),
        "how far the present walk through everything has come", _one(lambda s: s.verification.sweep_keys)),
    Metric("playerstate_verification_sweeps_total", COUNTER, "sweeps", (),
        "walks that were finished", _one(lambda s: s.verification.sweeps)),
    Metric("playerstate_verification_sweep_seconds", GAUGE, "seconds", (),
        "how long the last one took", _one(lambda s: s.verification.sweep_s)),
    Metric("playerstate_findings_total", COUNTER, "findings", ("place", "kind"),
        "findings that were confirmed: `stale`, `missing`, `diverged`, `orphan`, `ahead`, `overspent`",
        _by_two(lambda s: s.verification.findings, last=True)),
    Metric("playerstate_findings_open", GAUGE, "findings", (),
        "findings that have not been put right", _one(lambda s: s.verification.open)),
    Metric("playerstate_repairs_total", COUNTER, "findings", ("outcome",),
        "what became of findings: `repaired`, `gone`, `failed`, `left`", _by(lambda s: s.verification.repairs)),

    Metric("playerstate_alarm_firing", GAUGE, "", ("alarm", "subject", "severity"),
        "1 for every alarm that fires; those that do not have no sample", _alarms),
    Metric("playerstate_clock_skew_seconds", GAUGE, "seconds", ("clock",),
        "in the last minute: how far a sender's was ahead (`senders`), how far this machine's was set (`machine`)",
        _clocks),
    Metric("playerstate_disk_bytes", GAUGE, "bytes", (),
        "size of the disk that the data folder is on", _one(lambda s: s.process.disk_bytes)),
    Metric("playerstate_disk_free_bytes", GAUGE, "bytes", (),
        "how much of it is free", _one(lambda s: s.process.disk_free_bytes)),
    Metric("playerstate_cache_restarts_total", COUNTER, "restarts", (),
        "how often the cache has died and been started again", _one(lambda s: s.process.cache_restarts)),
    Metric("playerstate_worker_restarts_total", COUNTER, "restarts", (),
        "how often a worker has died and been started again", _one(lambda s: s.process.worker_restarts)),
    Metric("playerstate_untrimmed_seconds", GAUGE, "seconds", (),
        "how long ago the rule `stream` of retention was last enforced", _one(lambda s: s.process.untrimmed_s)),
    Metric("playerstate_retention_deleted_total", COUNTER, "items", ("rule",),
        "what was let go of, by rule of retention",
        _by(lambda s: {rule: ran.deleted for rule, ran in s.retention.items()})),
    Metric("playerstate_retention_last_run_timestamp_seconds", GAUGE, "seconds", ("rule",),
        "when the rule was last enforced, since 1970; 0 before the first time",
        _by(lambda s: {rule: ran.last_run_at / 1000 for rule, ran in s.retention.items()})),
    Metric("playerstate_retention_failing", GAUGE, "", ("rule",),
        "1 where the rule could not be enforced when that was tried last",
        _by(lambda s: {rule: int(bool(ran.last_error)) for rule, ran in s.retention.items()})),
)
# fmt: on
"""Every metric that there is."""
