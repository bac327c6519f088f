"""Metrics in the forms that Prometheus reads, made from nodes' figures at the moment in which they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from playerstate.core.answers import Stats
from playerstate.metrics import METRICS, Kind, Metric


class StatsCollector(Collector):
    """Nothing is counted here: at every scrape the nodes are asked for their figures, one after the other."""

    def __init__(self, ask: Callable[[], Sequence[Stats]]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Family]:
        """Every metric, with the samples of every region."""
        asked = self._ask()
        for metric in METRICS:
            yield _family(metric, asked)


def registry(ask: Callable[[], Sequence[Stats]]) -> CollectorRegistry:
    """A registry with the metrics of nodes and nothing else."""
    made = CollectorRegistry()
    made.register(StatsCollector(ask))
    return made


def text_of(stats: Stats) -> str:
    """The metrics of one node as text."""
    return generate_latest(registry(lambda: [stats])).decode()


def _family(metric: Metric, asked: Sequence[Stats]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, asked)
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = made(
        metric.name, metric.meaning, labels=["region", *metric.labels]
    )
    for stats in asked:
        for values, value in metric.samples(stats).items():
            family.add_metric([stats.region, *values], float(value))
    return family


def _histogram(metric: Metric, asked: Sequence[Stats]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=["region"])
    for stats in asked:
        counts = metric.samples(stats)
        if counts and metric.sums:
            within = accumulate(counts.values())
            buckets = [(bound, float(n)) for (bound,), n in zip(counts, within, strict=True)]
            family.add_metric([stats.region], buckets, metric.sums(stats))
    return family
