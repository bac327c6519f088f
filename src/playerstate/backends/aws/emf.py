"""Metrics of the handlers on AWS, in CloudWatch's embedded metric format (EMF): lines of a log that it reads.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Each combination of a name and its dimensions' values is billed as a metric of its own. So there are few, and none comes
from a player or an update; the region is CloudWatch's own, and what Lambda, Kinesis, SQS and DynamoDB count already is
not counted again. CloudWatch may read a line twice, and a handler counts again what it repeats: these are for looking
and for alarms, and no accounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TextIO, TypeAlias

import msgspec

from playerstate.ports.clock import Clock

NAMESPACE = "playerstate"
DEPLOYMENT = "Deployment"
"""The dimension that every metric has, first: which of the account's deployments in this region it is of."""
METRICS_MAX = 100
"""Of one document."""
VALUES_MAX = 100
"""Of one metric in one document."""
HELD_MAX = 10_000
"""How many values are held back for the next line."""


class Unit(StrEnum):
    """Units, as CloudWatch calls them."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"


class AwsMetric(NamedTuple):
    """A metric. In milliseconds it is a distribution: each value counts, so that percentiles can be asked for."""

    name: str
    unit: Unit
    dimensions: tuple[str, ...]
    meaning: str


COUNT, MILLISECONDS = Unit.COUNT, Unit.MILLISECONDS

# fmt: off
UPDATES = AwsMetric("Updates", COUNT, ("Outcome",),
    "finished by apply, by what became of them, and why: `applied`, `refused:insufficient`, `conflict`, `dead`, ...")
DUPLICATES = AwsMetric("Duplicates", COUNT, (),
    "updates that came again, and got their first outcome")
DEAD_LETTERS = AwsMetric("DeadLetters", COUNT, (),
    "what handlers have put aside by their own hand; queues have dead-letter queues besides")
ROWS_WRITTEN = AwsMetric("RowsWritten", COUNT, (),
    "rows that apply has written")
FRESHNESS = AwsMetric("Freshness", MILLISECONDS, (),
    "from accepted to visible in the cache, by update")
VIEWS_WRITTEN = AwsMetric("ViewsWritten", COUNT, (),
    "views that the cache has taken")
NOTICES_PUBLISHED = AwsMetric("NoticesPublished", COUNT, (),
    "notices that were published for the consumer groups")
EDGES_SYNCED = AwsMetric("EdgesSynced", COUNT, (),
    "keys whose edges the graph was behind with")
TRANSITIONS_RECORDED = AwsMetric("TransitionsRecorded", COUNT, (),
    "transitions that were appended to the history")
CONFLICTS_RESOLVED = AwsMetric("ConflictsResolved", COUNT, (),
    "rows in which this region has joined concurrent ones")
CHANGES_CHECKED = AwsMetric("ChangesChecked", COUNT, ("WithinSeconds",),
    "changes that were looked at in the cache by that age (1, 5, 60, 300), or had become right before")
CHANGES_RIGHT = AwsMetric("ChangesRight", COUNT, ("WithinSeconds",),
    "those of them that could be seen in the cache")
FINDINGS = AwsMetric("Findings", COUNT, ("Place", "Kind"),
    "findings that were confirmed: `stale`, `missing`, `diverged`, `orphan`, `ahead`, `overspent`")
REPAIRS = AwsMetric("Repairs", COUNT, ("Outcome",),
    "what became of findings: `repaired`, `gone`, `failed`, `left`")
KEYS_COMPARED = AwsMetric("KeysCompared", COUNT, ("Place",),
    "keys that verification has compared, by place")
NOT_CHECKED = AwsMetric("NotChecked", COUNT, (),
    "keys that verification had to leave out")
BATCH_FAILURES = AwsMetric("BatchFailures", COUNT, ("Stage",),
    "batches that a handler gave back, whole or from some place on, to get them again")
HANDLER_START = AwsMetric("HandlerStart", MILLISECONDS, ("Stage",),
    "what a new instance of a handler took until it could take its first batch")
# fmt: on

AWS_METRICS: Sequence[AwsMetric] = (
    UPDATES,
    DUPLICATES,
    DEAD_LETTERS,
    ROWS_WRITTEN,
    FRESHNESS,
    VIEWS_WRITTEN,
    NOTICES_PUBLISHED,
    EDGES_SYNCED,
    TRANSITIONS_RECORDED,
    CONFLICTS_RESOLVED,
    CHANGES_CHECKED,
    CHANGES_RIGHT,
    FINDINGS,
    REPAIRS,
    KEYS_COMPARED,
    NOT_CHECKED,
    BATCH_FAILURES,
    HANDLER_START,
)
"""Every metric that there is on AWS."""

Held: TypeAlias = Mapping[tuple[AwsMetric, tuple[str, ...]], Sequence[float]]
"""Values by metric and the values of its dimensions."""


def documents(deployment: str, held: Held, now_ms: int) -> Iterator[dict[str, Any]]:
    """The values as EMF: a document for each combination of dimensions, and more where there is more than fits."""
    combinations: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[AwsMetric, Sequence[float]]] = {}
    for (metric, dimensions), values in held.items():
        combinations.setdefault((metric.dimensions, dimensions), {})[metric] = values
    for (names, dimensions), found in combinations.items():
        said = {DEPLOYMENT: deployment, **dict(zip(names, dimensions, strict=True))}
        metrics = list(found)
        for first in range(0, len(metrics), METRICS_MAX):
            some = metrics[first : first + METRICS_MAX]
            for begin in range(0, max(len(found[metric]) for metric in some), VALUES_MAX):
                portion = {m: part for m in some if (part := found[m][begin : begin + VALUES_MAX])}
                yield _document(said, portion, now_ms)


def _document(
    dimensions: Mapping[str, str], values: Mapping[AwsMetric, Sequence[float]], now_ms: int
) -> dict[str, Any]:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": metric.name, "Unit": metric.unit.value} for metric in values],
    }
    said = {metric.name: found[0] if len(found) == 1 else list(found) for metric, found in values.items()}
    return {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, **dimensions, **said}


class Emf:
    """Gathers what a handler counts, and writes it to `stream`, a line a document. For one thread.

    `flush` belongs at the end of each batch; where it is missed, lines are written as soon as there is much to write.
    """

    def __init__(self, deployment: str, stream: TextIO, clock: Clock) -> None:
        self._deployment = _checked(deployment)
        self._stream = stream
        self._clock = clock
        self._held: dict[tuple[AwsMetric, tuple[str, ...]], list[float]] = {}
        self._count = 0

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        """Count `n` more; nothing is said of what stays 0."""
        if n:
            values = self._values(metric, COUNT, dimensions)
            if values:
                values[0] += n
            else:
                self._add(values, [n])

    def observe(self, metric: AwsMetric, values: Iterable[float], *dimensions: str) -> None:
        """Add values to a distribution."""
        values = list(values)
        if not all(map(math.isfinite, values)):
            raise ValueError(f"a value of {metric.name} is no number")
        for start in range(0, len(values), HELD_MAX):
            self._add(self._values(metric, MILLISECONDS, dimensions), values[start : start + HELD_MAX])

    def flush(self) -> None:
        """Write what has been gathered."""
        held, self._held, self._count = self._held, {}, 0
        for document in documents(self._deployment, held, self._clock.now_ms()):
            self._stream.write(msgspec.json.encode(document).decode() + "\n")
        self._stream.flush()

    def _values(self, metric: AwsMetric, unit: Unit, dimensions: tuple[str, ...]) -> list[float]:
        if metric.unit is not unit or len(dimensions) != len(metric.dimensions):
            raise ValueError(f"{metric.name} is in {metric.unit} and has the dimensions {metric.dimensions}")
        return self._held.setdefault((metric, tuple(map(_checked, dimensions))), [])

    def _add(self, values: list[float], more: Sequence[float]) -> None:
        values += more
        self._count += len(more)
        if self._count >= HELD_MAX:
            self.flush()


def _checked(dimension: str) -> str:
    """A dimension's value, if CloudWatch takes it; otherwise it would let go of the whole line and say nothing."""
    if not dimension.strip() or not dimension.isascii() or not dimension.isprintable() or len(dimension) > 1024:
        raise ValueError(f"{dimension!r} is no value of a dimension")
    return dimension
