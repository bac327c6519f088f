"""The functions of a deployment on AWS, on an emulator: from Kinesis to the graph and back, and verified.

    make demo-aws
    python examples/aws_demo [JOURNAL] [--seconds 15]

MiniStack stands for Kinesis, DynamoDB, SNS, SQS and Systems Manager; the cache is a real Valkey. Of Neptune and of
Timestream there is no emulator, so the graph and the audit are the embedded ones. Everything else is what runs on AWS:
the backends, the handlers, partial responses, settings from a parameter.

A journal of Elite Dangerous is replayed, or a generated load is sent. What came of it is compared with what plain
Python makes of the same; then store, cache and graph are compared with one another. The exit code is 1 if any differ.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from driver import Driver
from elite_journals.format import EliteJournal
from emulator import PYTHON, Emulator

from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.projecting import projecting
from playerstate.aws.state import AwsState, wiring_at
from playerstate.aws.trial import make_trial
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.emf import AwsMetric
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.folder import starter_schema
from playerstate.lambdas import audit, link, recheck, resolve
from playerstate.replay import replay
from playerstate.workload.compare import compare
from playerstate.workload.ledger import Ledger
from playerstate.workload.life import Life
from playerstate.workload.sender import Sender
from playerstate.workload.snapshot import read_found

REGION = "us-east-1"
NAME = "playerstate-demo"
GENERATED_S = 15.0
RATE_PER_S = 150
DRAIN_S = 120.0


class Figures:
    """What the functions tell of themselves, as CloudWatch would add it up."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.values: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        """Add to a figure."""
        with self._lock:
            self.sums[" ".join([metric.name, *dimensions])] += n

    def observe(self, metric: AwsMetric, values: Iterable[float], *dimensions: str) -> None:
        """Keep the values of a distribution."""
        with self._lock:
            self.values.setdefault(" ".join([metric.name, *dimensions]), []).extend(values)

    def flush(self) -> None:
        """Nothing: it is shown in the end."""


class Came(NamedTuple):
    """What came of what was sent."""

    sent: int
    differences: list[str]


def main() -> int:
    """Run it; the exit code."""
    arguments = argparse.ArgumentParser(description="A deployment on AWS, on an emulator.")
    arguments.add_argument("journal", nargs="?", type=Path, help="a journal; without one, a load is generated")
    arguments.add_argument("--seconds", type=float, default=GENERATED_S, help="how long a generated load is sent")
    options = arguments.parse_args()
    journal = options.journal or recorded_journal()
    if not PYTHON.exists():
        print("MiniStack is not installed; `make demo-aws` does that", file=sys.stderr)
        return 1
    os.environ |= {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_EC2_METADATA_DISABLED": "true"}
    with tempfile.TemporaryDirectory(prefix="playerstate-") as folder:
        return run(Path(folder), journal, options.seconds)


def recorded_journal() -> Path | None:
    """The cleanest of the recorded journals, where they are."""
    samples = os.environ.get("PLAYERSTATE_SAMPLE_DATA")
    path = Path(samples) / "elite-journals" / "F1697165.jsonl" if samples else None
    return path if path and path.is_file() else None


def run(folder: Path, journal: Path | None, seconds: float) -> int:
    """Start everything, send, compare."""
    began = time.monotonic()
    schema = folder / "game.toml"
    schema.write_text(EliteJournal().schema_text() if journal else starter_schema(), "utf-8")
    valkey = ValkeyServer(folder / "valkey", maxmemory_mb=64, marker="demo-aws")
    (folder / "valkey").mkdir()
    valkey.start()
    emulator = Emulator(folder)
    try:
        given = {
            s.SCHEMA: str(schema),
            s.CACHE_URL: valkey.url,
            s.GRAPH_URL: f"ladybug:{folder / 'graph'}",
            s.AUDIT_URL: f"sqlite:{folder / 'audit.db'}",
            s.PROJECT_FUNCTION: "project",
        }
        url = make_trial(Clients(REGION, endpoint_url=emulator.url), NAME, REGION, given)
        wiring = wiring_at(url, endpoint_url=emulator.url)
        state, figures = AwsState(wiring), Figures()
        driver = drive(wiring, figures)
        print(
            f"{url} stands after {time.monotonic() - began:.1f} s: MiniStack, a Valkey, {len(driver.calls)} functions"
        )
        try:
            came = replayed(state, journal) if journal else generated(state, wiring, figures, seconds)
            took_s = time.monotonic() - began
            differences = [*came.differences, *verified(state)]
        finally:
            driver.stop()
        differences += [f"a function failed: {error!r}" for error in driver.errors]
        show(driver, figures)
        print(f"{came.sent:,} updates, {took_s:.0f} s; everything took {time.monotonic() - began:.0f} s")
        for difference in differences:
            print(f"DIFFERENT: {difference}")
        if not differences:
            print("All agree: what was sent, the table, the cache, the graph and the history.")
        return 1 if differences else 0
    finally:
        emulator.stop()
        valkey.stop()


def drive(wiring: Wiring, figures: Figures) -> Driver:
    """Have the functions called, as mappings do."""
    driver = Driver(wiring.clients)
    text = wiring.environment.text
    driver.stream("apply", text(s.STREAM), applying(wiring, figures))
    driver.table("project", text(s.TABLE), projecting(wiring, figures))
    driver.queue("link", text(s.LINK_QUEUE_URL), link.make(wiring, figures))
    driver.queue("audit", text(s.AUDIT_QUEUE_URL), audit.make(wiring, figures))
    driver.queue("resolve", text(s.RESOLVE_QUEUE_URL), resolve.make(wiring, figures))
    driver.queue("recheck", text(s.RECHECK_QUEUE_URL), recheck.make(wiring, figures))
    return driver


def replayed(state: AwsState, journal: Path) -> Came:
    """Replay a journal, and compare with the plain replay of its format."""
    report = replay(state, EliteJournal(), [journal], repeats_seed=1)
    print(f"replayed {journal.name}: {report.source.events:,} events, {report.repeats:,} repeats mixed in")
    print(f"outcomes: {dict(sorted(report.outcomes.items()))}")
    return Came(report.sent, report.differences)


def generated(state: AwsState, wiring: Wiring, figures: Figures, seconds: float) -> Came:
    """Send a life-like load, and compare with what plain Python makes of it."""
    ledger = Ledger()
    sender = Sender(state, Life(1, players=100), ledger, rate_per_s=RATE_PER_S, seed=1)
    sender.run(seconds, threading.Event())
    problems = [*sender.rejections[:10], *([f"sending ended early: {sender.error}"] if sender.error else [])]
    if not state.drain(timeout_s=DRAIN_S):
        problems.append(f"not everything had taken effect {DRAIN_S:.0f} s after the last update")
    outcomes = {
        name.removeprefix("Updates "): count for name, count in figures.sums.items() if name.startswith("Updates ")
    }
    outcomes["duplicate"] = figures.sums["Duplicates"]
    expected = ledger.expected(repeats=sender.repeats, retried=sender.retried)
    comparison = compare(expected, read_found(state.parts, wiring.schema, expected, outcomes))
    print(f"outcomes: {dict(sorted(outcomes.items()))}")
    return Came(sender.sent, [*problems, *map(str, comparison.findings)])


def verified(state: AwsState) -> list[str]:
    """Compare store, cache and graph, of all players; what differs."""
    cursor, keys, found = "", 0, []
    while True:
        page = state.verify(cursor, keys=1_000, repair=False)
        keys += page.keys
        found += [f"{finding.place} {finding.kind} {finding.key}" for finding in page.findings]
        found += [f"{place} lags" for place in page.lagging]
        cursor = page.cursor
        if not cursor:
            break
    print(f"verified: {keys:,} keys in the table, the cache and the graph")
    return found


def show(driver: Driver, figures: Figures) -> None:
    """What the functions have done."""
    for name in sorted(driver.calls):
        print(f"  {name:8} {driver.calls[name]:6,} calls {driver.records[name]:8,} records")
    for name, total in sorted(figures.sums.items()):
        if total:
            print(f"  {name:32} {total:8,}")


if __name__ == "__main__":
    raise SystemExit(main())
