"""Metrics: the list, that nothing of the figures is missing from it, and that Prometheus reads what is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, get_args

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from docs.markdown import read, table_rows
from playerstate.core.answers import Alarm, ProcessStats, Severity, StageStats, Stats
from playerstate.core.model import Stage
from playerstate.metrics import METRICS, Kind, samples_of
from playerstate.runtime.exposition import text_of
from playerstate.runtime.freshness import Freshness

ALARM = Alarm("way_stuck", Severity.WARNING, 1, 61.0, 60.0, "us waits", "look", "us")


def filled() -> Stats:
    """Figures in which every number is another one."""
    numbers = count(1000)

    def fill(kind: Any) -> Any:
        if kind is float:
            return float(next(numbers))
        if kind is int:
            return next(numbers)
        if kind is bool:
            return True
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind(**{field.name: fill(field.type) for field in msgspec.structs.fields(kind)})
        if getattr(kind, "__origin__", None) is dict:
            return {"apply": fill(get_args(kind)[1])}
        return [] if getattr(kind, "__origin__", None) is list else "word"

    stats: Stats = fill(Stats)
    stats.outcomes = {"refused:insufficient": stats.outcomes["apply"]}
    stats.freshness_ms = {"5": stats.freshness_ms["apply"], "inf": 0}
    stats.verification.findings = {"region:eu-west-1:stale": stats.verification.findings["apply"]}
    stats.alarms = [ALARM]
    return stats


def numbers_in(found: Any) -> Iterator[tuple[str, float]]:
    """Every number of the figures, with the name of its field."""
    for name, value in found.items():
        if isinstance(value, dict):
            for inner, number in numbers_in(value):
                yield inner if inner != "apply" else name, number
        elif isinstance(value, (int, float)):
            yield name, value


def test_nothing_of_the_figures_is_missing() -> None:
    """Every number that a node tells of itself is a metric's value, in base units."""
    stats = filled()
    values = {sample.value for sample in samples_of(stats)}
    told = dict(numbers_in(msgspec.to_builtins(msgspec.structs.replace(stats, alarms=[]))))
    assert len(told) > 35
    for name, number in told.items():
        if name != "freshness_sum_ms":  # a histogram's sum, see below
            assert (number / 1000 if name in {"started_at", "last_run_at"} else number) in values, name


def test_prometheus_reads_all_of_it() -> None:
    """Every metric with its kind, every sample with its region and its labels."""
    stats = filled()
    families = {family.name: family for family in text_string_to_metric_families(text_of(stats))}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name]
        assert family.type == metric.kind.value
        assert family.documentation == metric.meaning
        assert family.samples
        for sample in family.samples:
            if metric.kind is not Kind.HISTOGRAM:
                assert sample.labels.keys() == {"region", *metric.labels}
            assert sample.labels["region"] == stats.region
    (finding,) = families["playerstate_findings"].samples
    assert (finding.labels["place"], finding.labels["kind"]) == ("region:eu-west-1", "stale")
    (refused,) = families["playerstate_updates"].samples
    assert (refused.labels["outcome"], refused.labels["reason"]) == ("refused", "insufficient")
    (firing,) = families["playerstate_alarm_firing"].samples
    assert (firing.labels["alarm"], firing.labels["subject"], firing.value) == ("way_stuck", "us", 1)


def test_the_histogram_adds_up() -> None:
    """Buckets are counts up to their bound, in seconds; the last has all; the sum is that of the ages."""
    freshness = Freshness()
    freshness.add([1, 2, 7, 7, 120_000])
    stats = msgspec.structs.replace(filled(), freshness_ms=freshness.buckets(), freshness_sum_ms=freshness.sum_ms)
    family = next(
        f for f in text_string_to_metric_families(text_of(stats)) if f.name == "playerstate_freshness_seconds"
    )
    by_bound = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    (total,) = [s.value for s in family.samples if s.name.endswith("_count")]
    (added,) = [s.value for s in family.samples if s.name.endswith("_sum")]
    assert (by_bound["0.001"], by_bound["0.002"], by_bound["0.008"], by_bound["60"]) == (1, 2, 4, 4)
    assert (by_bound["+Inf"], total, added) == (5, 5, 120.017)


def test_a_node_that_has_done_nothing() -> None:
    """Its metrics are readable too."""
    text = text_of(Stats("local", {}, {}, {}, 0, 0))
    assert 'playerstate_rows_written_total{region="local"} 0.0' in text
    assert len(list(text_string_to_metric_families(text))) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_has_them(metric: Any) -> None:
    """The prefix, `_total` for counters and for them alone, base units at the end, and few labels that stay few."""
    assert re.fullmatch(r"playerstate_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
    if metric.unit in {"seconds", "bytes", "share"}:
        assert metric.name.removesuffix("_total").endswith(metric.unit)
    assert set(metric.labels) <= {
        "version", "code", "outcome", "reason", "stage", "source", "place", "kind", "within_seconds", "alarm",
        "subject", "severity", "clock", "le", "rule",
    }  # fmt: skip


def test_the_list_is_the_documents() -> None:
    """docs/metrics.md has every metric with kind, unit, labels and meaning, and no other."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    rows = [row for row in table_rows(read("docs/metrics.md")) if row[0].startswith("`playerstate_")]
    assert rows == [
        [f"`{m.name}`", m.kind.value, m.unit or "-", ", ".join(f"`{name}`" for name in m.labels) or "-", m.meaning]
        for m in METRICS
    ]


def test_stages_that_have_no_figures_yet() -> None:
    """What a stage is called is all that it takes to be counted."""
    stats = Stats("local", {name: StageStats(lag=n) for n, name in enumerate(get_args(Stage))}, {}, {}, 0, 0)
    found = {s.labels["stage"]: s.value for s in samples_of(stats) if s.metric.name == "playerstate_stage_lag"}
    assert found == {name: n for n, name in enumerate(get_args(Stage))}
    assert ProcessStats() == stats.process
