"""Freshness at a rate: an open loop, which sends whether or not what was sent before has taken effect."""

from __future__ import annotations

import time

import msgspec

from playerstate.node import Node
from playerstate.runtime.freshness import quantile
from playerstate.workload.prepared import Prepared
from playerstate.workload.settling import drain, settled_stats

TICK_S = 0.01
DRAIN_S = 60.0


class AtRate(msgspec.Struct):
    """Freshness is from accepted, which comes shortly before acknowledged, to visible in the cache.

    The quantiles are the upper bounds of a histogram's buckets, over every row that an update changed. `late_ms_max` is
    how far the sending itself fell behind its clock.
    """

    wanted_per_second: int
    sent_per_second: float
    freshness_ms_p50: float | None
    freshness_ms_p99: float | None
    late_ms_max: float


def measure_freshness(node: Node, load: Prepared, seconds: float, rate_per_s: int) -> AtRate:
    """Send at the rate for a time. The node must be idle at the beginning, and is at the end."""
    before = settled_stats(node).freshness_ms
    began = time.monotonic()
    sent, tick, late_s = 0, 0, 0.0
    while tick * TICK_S < seconds and time.monotonic() < began + seconds:
        due_at = began + tick * TICK_S
        time.sleep(max(0.0, due_at - time.monotonic()))
        late_s = max(late_s, time.monotonic() - due_at)
        tick += 1
        calls = load.take(int(tick * TICK_S * rate_per_s) - sent)
        if calls:
            node.service.send_many(calls)
            sent += len(calls)
    took_s = time.monotonic() - began
    drain(node, timeout_s=DRAIN_S)
    after = settled_stats(node).freshness_ms
    ages = {bound: n - before[bound] for bound, n in after.items()}
    return AtRate(rate_per_s, sent / took_s, quantile(ages, 0.5), quantile(ages, 0.99), late_s * 1000)
