"""Sustained throughput and what it costs: a closed loop that keeps a bounded number of updates under way."""

from __future__ import annotations

import time

import msgspec

from playerstate.core.answers import Stats
from playerstate.node import Node
from playerstate.workload.machine import valkey_cpu_s
from playerstate.workload.prepared import Prepared
from playerstate.workload.progress import Progress
from playerstate.workload.settling import drain, settled_stats

CALL_UPDATES = 250
IN_FLIGHT_MAX = 50_000
LOOK_EVERY_S = 0.02
PAUSE_S = 0.002
RAMP_SHARE = 0.1
"""Of the time, how much passes before the measurement begins."""
RAMP_S_MIN = 0.3
FILL_S_MAX = 5.0
"""A node that keeps up with its load never has that much under way."""
DRAIN_S = 120.0


class Throughput(msgspec.Struct):
    """`updates_per_second` counts what was accepted, applied and cached while it was measured.

    `updates_per_second_audited` is over everything that was sent, until the history and the graph were complete too.
    `cpu_us_per_update` has each stage's processor time, the cache server's, and that of providing the load. Fewer rows
    than updates are written where updates of a key coalesce; an update of several keys writes several.
    """

    updates_per_second: float
    updates_per_second_audited: float
    updates: int
    seconds: float
    drain_s: float
    updates_per_row_write: float
    rows_written: int
    outcomes: dict[str, int]
    cpu_us_per_update: dict[str, float]


class _Loop:
    """One closed loop, from when the node is idle until it is again."""

    def __init__(self, node: Node, load: Prepared) -> None:
        self._node = node
        self._load = load
        self.progress = Progress(node.parts.stream, node.parts.changes, node.parts.checkpoints)
        self.accept_cpu_s = 0.0
        self.load_cpu_s = 0.0
        self._looked_at = 0.0
        self._last_seen = 0

    def fill(self) -> int:
        """Send until as much is under way as may be; how many updates are cached by then.

        From there on the loop is closed: until then, accepting takes the time that the other stages would have.
        """
        ends_at = time.monotonic() + FILL_S_MAX
        while self.progress.sent - self._cached() < IN_FLIGHT_MAX and time.monotonic() < ends_at:
            self._send()
        return self._fresh_count()

    def send_until(self, ends_at: float, *, beyond: int = -1) -> int:
        """Send as fast as the bound allows; how many updates are cached when the time is up.

        The time goes on until more than `beyond` are, or nothing seems to come of it any more.
        """
        gives_up_at = ends_at + DRAIN_S
        while (now := time.monotonic()) < ends_at or (self._last_seen <= beyond and now < gives_up_at):
            if self.progress.sent - self._cached() >= IN_FLIGHT_MAX:
                time.sleep(PAUSE_S)
            else:
                self._send()
        return self._fresh_count()

    def _send(self) -> None:
        t0 = time.thread_time()
        call = self._load.take(CALL_UPDATES)
        t1 = time.thread_time()
        self._node.service.send_many(call)
        t2 = time.thread_time()
        self.load_cpu_s += t1 - t0
        self.accept_cpu_s += t2 - t1
        self.progress.add(len(call))

    def _fresh_count(self) -> int:
        self._looked_at = 0.0
        return self._cached()

    def _cached(self) -> int:
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._last_seen = self.progress.cached()
        return self._last_seen


def measure_throughput(node: Node, load: Prepared, seconds: float) -> Throughput:
    """Run the closed loop for a time, and a little longer to warm up."""
    ramp_s = max(RAMP_S_MIN, RAMP_SHARE * seconds)
    _Loop(node, load).send_until(time.monotonic() + ramp_s)
    drain(node, timeout_s=DRAIN_S)
    before, valkey_before_s = settled_stats(node), valkey_cpu_s(node.cache_url)
    loop = _Loop(node, load)
    began = time.monotonic()
    cached_before = loop.fill()
    measured_from = time.monotonic()
    cached_after = loop.send_until(measured_from + seconds, beyond=cached_before)
    measured_until = time.monotonic()
    drain(node, timeout_s=DRAIN_S)
    drained = time.monotonic()
    n = loop.progress.sent
    after = settled_stats(node, outcomes_min=sum(before.outcomes.values()) + n)
    valkey_after_s = valkey_cpu_s(node.cache_url)
    cpu_s = {
        "load": loop.load_cpu_s,
        "accept": loop.accept_cpu_s,
        **{name: stage.cpu_s - before.stages[name].cpu_s for name, stage in after.stages.items()},
        "cache server": valkey_after_s - valkey_before_s,
    }
    rows_written = after.rows_written - before.rows_written
    return Throughput(
        (cached_after - cached_before) / (measured_until - measured_from),
        n / (drained - began),
        n,
        measured_until - measured_from,
        drained - measured_until,
        n / max(1, rows_written),
        rows_written,
        _outcomes(before, after),
        {name: spent * 1e6 / max(1, n) for name, spent in cpu_s.items()},
    )


def _outcomes(before: Stats, after: Stats) -> dict[str, int]:
    return {name: n - before.outcomes.get(name, 0) for name, n in after.outcomes.items()}
