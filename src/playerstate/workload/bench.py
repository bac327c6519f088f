"""All measurements, one after the other, on one node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from playerstate.node import Node
from playerstate.runtime.collector import calm_collector
from playerstate.workload.freshness import AtRate, measure_freshness
from playerstate.workload.machine import Machine, describe_machine, resident_megabytes
from playerstate.workload.prepared import distinct, life_like
from playerstate.workload.reads import HotReads, measure_reads
from playerstate.workload.sizes import typical_row_bytes
from playerstate.workload.throughput import Throughput, measure_throughput

RATE_PER_S = 2550
SEED = 1
READ_PLAYERS = [f"player-{number:05d}" for number in range(1, 101)]
DISTINCT_READ_PLAYERS = [f"player-{number}" for number in range(1, 501)]


class BenchReport(msgspec.Struct):
    """The figures; the three that matter most are at the top."""

    updates_per_second: float
    freshness_ms_p50: float | None
    freshness_ms_p99: float | None
    load: str
    update_bytes_mean: float
    update_bytes_median: int
    throughput: Throughput
    at_rate: AtRate
    reads: HotReads
    row_bytes: dict[str, int]
    resident_megabytes: dict[str, float]
    machine: Machine


def run_bench(
    folder: Path, *, seconds: float, every_key_distinct: bool, tell: Callable[[str], None] = lambda _: None
) -> BenchReport:
    """Measure on an empty folder, each thing for about `seconds`. `tell` hears what is being done.

    Raises `StartRefused` if the node cannot run.
    """
    machine = describe_machine()
    tell("preparing the load")
    load = distinct(SEED) if every_key_distinct else life_like(SEED)
    with Node(folder) as node:
        calm_collector()  # as `serve` does
        row_bytes = typical_row_bytes(node)
        tell("throughput, closed loop")
        throughput = measure_throughput(node, load, seconds)
        tell(f"freshness at {RATE_PER_S:,} updates/s, open loop")
        at_rate = measure_freshness(node, load, seconds, RATE_PER_S)
        tell("hot reads")
        reads = measure_reads(node, DISTINCT_READ_PLAYERS if every_key_distinct else READ_PLAYERS, seconds / 2)
        return BenchReport(
            throughput.updates_per_second,
            at_rate.freshness_ms_p50,
            at_rate.freshness_ms_p99,
            "distinct keys" if every_key_distinct else "life-like mix, players by Zipf's law",
            load.bytes_mean,
            load.bytes_median,
            throughput,
            at_rate,
            reads,
            row_bytes,
            resident_megabytes(node.cache_url),
            machine,
        )
