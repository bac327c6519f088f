"""Metrics for CloudWatch: every document is held against the rules of the embedded metric format."""

from __future__ import annotations

import io
import json
import math
import re
from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from builders import NOW_MS
from docs.markdown import read, section, table_rows
from playerstate.backends.aws.emf import (
    AWS_METRICS,
    DEPLOYMENT,
    DUPLICATES,
    FINDINGS,
    FRESHNESS,
    HANDLER_START,
    HELD_MAX,
    NAMESPACE,
    UPDATES,
    AwsMetric,
    Emf,
    Unit,
    documents,
)
from playerstate.backends.memory.clock import ManualClock

UNITS = {
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
    "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
    "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
    "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
}  # fmt: skip


def broken_rules(line: str) -> list[str]:
    """What is wrong with a line, by EMF's specification and by what CloudWatch takes of names and dimensions."""
    broken = []

    def rule(holds: bool, says: str) -> None:
        if not holds:
            broken.append(says)

    rule(len(line.encode()) <= 256 * 1024, "an event of a log has 256 KB at most")
    root = json.loads(line, parse_constant=lambda name: broken.append(f"{name} is no number"))
    about = root["_aws"]
    rule(set(about) <= {"Timestamp", "CloudWatchMetrics", "LogGroupName", "LogStreamName"}, "unknown metadata")
    rule(type(about["Timestamp"]) is int and about["Timestamp"] > 10**12, "the time is in ms since 1970")
    for directive in about["CloudWatchMetrics"]:
        rule(set(directive) == {"Namespace", "Dimensions", "Metrics"}, "a directive has exactly these")
        rule(1 <= len(directive["Namespace"]) <= 255 and not directive["Namespace"].startswith("AWS/"), "namespace")
        rule(1 <= len(directive["Metrics"]) <= 100, "100 metrics a directive at most")
        for dimensions in directive["Dimensions"]:
            rule(len(dimensions) <= 30 and len(set(dimensions)) == len(dimensions), "30 dimensions at most, no twice")
            for name in dimensions:
                value = root.get(name)
                rule(bool(re.fullmatch(r"[!-9;-~][ -~]{0,254}", name)), f"{name} names no dimension")
                rule(isinstance(value, str) and bool(re.fullmatch(r"(?=.*\S)[ -~]{1,1024}", value)), f"{name}: {value}")
        names = [definition["Name"] for definition in directive["Metrics"]]
        rule(len(set(names)) == len(names), "a metric stands there once")
        for definition in directive["Metrics"]:
            rule({"Name"} <= set(definition) <= {"Name", "Unit", "StorageResolution"}, "a definition's members")
            rule(definition.get("Unit", "None") in UNITS, "the unit")
            found = root.get(definition["Name"])
            values = found if isinstance(found, list) else [found]
            rule(1 <= len(values) <= 100, "100 values a metric at most")
            rule(all(type(value) in {int, float} and math.isfinite(value) for value in values), "values are numbers")
            rule(definition["Name"] not in {name for names in directive["Dimensions"] for name in names}, "two things")
    return broken


def good() -> dict[str, Any]:
    (document,) = documents("game-prod", {(FINDINGS, ("cache", "stale")): [1]}, NOW_MS)
    return document


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda d: d["_aws"].update(Timestamp=NOW_MS / 1000),
        lambda d: d["_aws"].update(More=1),
        lambda d: d.pop("Place"),
        lambda d: d.update(Place=" "),
        lambda d: d.update(Place="caché"),
        lambda d: d.update(Findings="1"),
        lambda d: d.update(Findings=[]),
        lambda d: d.update(Findings=[1] * 101),
        lambda d: d.update(Findings=True),
        lambda d: d.update(Findings=math.inf),
        lambda d: d["_aws"]["CloudWatchMetrics"][0].update(Namespace="AWS/Lambda"),
        lambda d: d["_aws"]["CloudWatchMetrics"][0].update(Metrics=[]),
        lambda d: d["_aws"]["CloudWatchMetrics"][0]["Metrics"].append({"Name": "Findings"}),
        lambda d: d["_aws"]["CloudWatchMetrics"][0]["Metrics"][0].update(Unit="Things"),
        lambda d: d["_aws"]["CloudWatchMetrics"][0]["Dimensions"].append([str(n) for n in range(31)]),
    ],
)
def test_the_rules_find_what_is_wrong(spoilt: Any) -> None:
    """A good document breaks none of them, a spoilt one some."""
    assert broken_rules(json.dumps(good())) == []
    document = good()
    spoilt(document)
    assert broken_rules(json.dumps(document))


@st.composite
def counted(draw: st.DrawFn) -> tuple[AwsMetric, list[float], tuple[str, ...]]:
    metric = draw(st.sampled_from(AWS_METRICS))
    dimensions = tuple(draw(st.sampled_from(["a", "b"])) for _ in metric.dimensions)
    sizes = st.integers(0, 250 if metric.unit is Unit.MILLISECONDS else 1)
    return metric, [float(draw(st.integers(0, 5))) for _ in range(draw(sizes))], dimensions


@given(st.lists(counted(), max_size=20))
def test_all_that_is_counted_is_written(events: list[tuple[AwsMetric, list[float], tuple[str, ...]]]) -> None:
    """By the rules, a line a document: sums of counts, and every single value of a distribution."""
    stream = io.StringIO()
    emf = Emf("game-prod", stream, ManualClock(NOW_MS))
    expected: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for metric, values, dimensions in events:
        expected[metric.name, *dimensions] += values
        if metric.unit is Unit.COUNT:
            for value in values:
                emf.count(metric, int(value), *dimensions)
        else:
            emf.observe(metric, values, *dimensions)
    emf.flush()
    lines = stream.getvalue().splitlines()
    assert [broken_rules(line) for line in lines] == [[]] * len(lines)
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for document in map(json.loads, lines):
        assert document[DEPLOYMENT] == "game-prod"
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        by_name = {metric.name: metric for metric in AWS_METRICS}
        for definition in directive["Metrics"]:
            metric = by_name[definition["Name"]]
            assert directive["Dimensions"] == [[DEPLOYMENT, *metric.dimensions]]
            said = document[metric.name]
            key = (metric.name, *(document[name] for name in metric.dimensions))
            found[key] += said if isinstance(said, list) else [said]
    counts = {metric.name for metric in AWS_METRICS if metric.unit is Unit.COUNT}
    for key, values in expected.items():
        if key[0] in counts:
            assert sum(found[key]) == sum(values)
            assert len(found[key]) <= 1
        else:
            assert found[key] == values


def test_more_metrics_than_a_document_holds() -> None:
    """The others stand in the next one."""
    many = {(AwsMetric(f"M{n}", Unit.COUNT, (), ""), ()): [n] for n in range(250)}
    found = list(documents("d", many, NOW_MS))
    assert [broken_rules(json.dumps(document)) for document in found] == [[]] * 3
    names = [m["Name"] for d in found for m in d["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert names == [f"M{n}" for n in range(250)]


def test_what_is_held_is_bounded() -> None:
    """Much is written before anybody says so, nothing twice, and nothing to say is no line."""
    stream = io.StringIO()
    emf = Emf("game-prod", stream, ManualClock(NOW_MS))
    emf.count(DUPLICATES, 0)
    emf.flush()
    assert stream.getvalue() == ""
    emf.observe(FRESHNESS, range(HELD_MAX + 1))
    written = [value for line in stream.getvalue().splitlines() for value in json.loads(line)["Freshness"]]
    assert written == list(range(HELD_MAX))
    emf.flush()
    emf.flush()
    assert len(stream.getvalue().splitlines()) == HELD_MAX / 100 + 1


def test_what_cloudwatch_would_not_take_is_not_written() -> None:
    """It would let go of the line without a word; so the mistake is told where it is made."""
    emf = Emf("game-prod", io.StringIO(), ManualClock(NOW_MS))
    for wrong in ("", " ", "caché", "a\nb", "x" * 1025):
        with pytest.raises(ValueError, match="dimension"):
            emf.count(UPDATES, 1, wrong)
        with pytest.raises(ValueError, match="dimension"):
            Emf(wrong, io.StringIO(), ManualClock(NOW_MS))
    for call in (
        lambda: emf.count(UPDATES, 1),
        lambda: emf.count(DUPLICATES, 1, "too many"),
        lambda: emf.count(FRESHNESS, 1),
        lambda: emf.observe(DUPLICATES, [1]),
        lambda: emf.observe(HANDLER_START, [math.nan], "apply"),
    ):
        with pytest.raises(ValueError, match=r"dimensions|no number"):
            call()


def test_the_list_is_the_documents() -> None:
    """docs/metrics.md has every metric with unit, dimensions and meaning, and no other."""
    assert len({metric.name for metric in AWS_METRICS}) == len(AWS_METRICS)
    assert table_rows(section(read("docs/metrics.md"), "On AWS")) == [
        [f"`{m.name}`", m.unit.value, ", ".join(f"`{name}`" for name in m.dimensions) or "-", m.meaning]
        for m in AWS_METRICS
    ]
