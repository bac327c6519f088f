"""What the function of apply costs: its CPU per update, with the clients it has on AWS, on an emulator.

    python benchmarks/lambda_apply.py [--updates 5000] [--per-record 2] [--batch 100]

The emulator has a process of its own, so that only the function's CPU is counted: the decoding of events, the stage,
botocore. On AWS there is TLS besides. The target is 60 us of CPU an update, where two updates share a write.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "aws_demo"))

from emulator import Emulator
from msgspec.structs import replace

from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.state import wiring_at
from playerstate.aws.trial import make_trial
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.emf import AwsMetric
from playerstate.core.model import Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.folder import starter_schema
from playerstate.workload.life import Life

NAME = "bench"
REGION = "us-east-1"


class Rows:
    """Counts rows and updates."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        """Count."""
        self.counted[metric.name] = self.counted.get(metric.name, 0) + n

    def observe(self, *_: Any) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description="The CPU of the function of apply, per update.")
    arguments.add_argument("--updates", type=int, default=5_000)
    arguments.add_argument("--batch", type=int, default=100, help="records of an event")
    options = arguments.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    print("load                    updates/record  updates/row   CPU us/update  wall us/update")
    for name, updates, per_record in loads(options.updates):
        with tempfile.TemporaryDirectory(prefix="playerstate-") as folder:
            emulator = Emulator(Path(folder))
            try:
                show(name, per_record, measure(Path(folder), emulator.url, updates, per_record, options.batch))
            finally:
                emulator.stop()


def loads(count: int) -> Iterator[tuple[str, list[Update], int]]:
    """Loads of so many updates, and how many of a player are in a record."""
    yield "gold, two to a row", gold(count, 2), 2
    yield "gold, one to a row", gold(count, 1), 1
    now = time.time_ns() // 1_000_000
    mix = [replace(update, sent_at=now) for update in islice(Life(1, players=2_000), count)]
    yield "life-like mix", mix, 1


def gold(count: int, each: int) -> list[Update]:
    """Updates of one key a player, `each` of them in a row."""
    random = Random(1)
    life = Life(1, players=1)
    pattern = next(update for update in life if len(update.ops) == 1 and update.ops[0].state_key == "gold")
    (op,) = pattern.ops
    updates = []
    for n in range(count):
        player_id = f"player-{n // each}"
        changed = type(op)(player_id, "gold", "add", n=random.randrange(1, 100))
        updates.append(Update([changed], "game-1", n % each + 1, time.time_ns() // 1_000_000))
    return updates


def measure(folder: Path, endpoint: str, updates: list[Update], per_record: int, batch: int) -> tuple[float, ...]:
    """Updates to a row, CPU and wall (us) of an update."""
    schema = folder / "game.toml"
    schema.write_text(starter_schema(), "utf-8")
    make_trial(Clients(REGION, endpoint_url=endpoint), NAME, REGION, {s.SCHEMA: str(schema)})
    rows = Rows()
    function = applying(wiring_at(f"aws://{REGION}/{NAME}", endpoint_url=endpoint), rows)
    now = time.time_ns() // 1_000_000
    bodies = [
        encode_record(now, [encode_update(update) for update in updates[start : start + per_record]])
        for start in range(0, len(updates), per_record)
    ]
    events = [event(bodies[start : start + batch], start) for start in range(0, len(bodies), batch)]
    function(events[0])
    cpu, wall = time.process_time(), time.perf_counter()
    for one in events[1:]:
        assert function(one) == {"batchItemFailures": []}
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    measured = sum(len(one["Records"]) for one in events[1:]) * per_record
    share = measured / len(updates)
    return measured / (rows.counted["RowsWritten"] * share), cpu / measured * 1e6, wall / measured * 1e6


def event(bodies: list[bytes], first: int) -> dict[str, Any]:
    """An event of Kinesis."""
    return {
        "Records": [
            {
                "eventSource": "aws:kinesis",
                "kinesis": {
                    "partitionKey": "anyone",
                    "sequenceNumber": str(10**55 + first + n),
                    "data": base64.b64encode(body).decode(),
                    "approximateArrivalTimestamp": time.time(),
                },
            }
            for n, body in enumerate(bodies)
        ]
    }


def show(name: str, per_record: int, found: tuple[float, ...]) -> None:
    """A line of the table."""
    per_row, cpu_us, wall_us = found
    print(f"{name:24}{per_record:14}{per_row:13.2f}{cpu_us:16.1f}{wall_us:16.1f}")


if __name__ == "__main__":
    main()
