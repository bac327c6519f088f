"""What is paid for: the traffic, and what has to be assumed about it and about how the system meets it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from playerstate.cost.bill import SECONDS

Capacity = Literal["cheaper", "provisioned", "on-demand"]


@dataclass(frozen=True, slots=True)
class Load:
    """The traffic of all regions together, spread evenly over the month.

    `coalescing` is how many updates there are to a row that is written, `transaction_share` the share of those rows
    that are written by transactions since their updates change several rows; `item_bytes` the size of a stored row,
    names included, and of an update.
    """

    updates_per_s: float = 2550
    item_bytes: int = 1024
    regions: int = 1
    coalescing: float = 2
    transaction_share: float = 0.05

    @property
    def updates(self) -> float:
        """Updates a month."""
        return self.updates_per_s * SECONDS

    @property
    def rows(self) -> float:
        """Rows a month that are written where they belong; every one of them is then replicated."""
        return self.updates / self.coalescing


@dataclass(frozen=True, slots=True)
class Worker:
    """A Lambda function: what a call takes, and how long.

    A call waits `call_ms`, and works `input_ms` on every input.
    """

    batch: int
    memory_mb: int
    call_ms: float
    input_ms: float

    @property
    def call_gb_s(self) -> float:
        """What a call uses, in GB-seconds."""
        return self.memory_mb / 1024 * (self.call_ms + self.batch * self.input_ms) / 1000


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the bill rests on besides traffic and prices.

    Measured on one core of a small x86 machine, with the life-like mix of `bench`: what apply, project and DynamoDB's
    client work on an input, the share of rows that make edges, and a transition's size (316 bytes as it is, 96 packed
    by zlib). What a call waits for services, and all other figures, are estimated. 1,769 MB are one processor.
    """

    apply: Worker = Worker(batch=250, memory_mb=1769, call_ms=50, input_ms=0.06)
    project: Worker = Worker(batch=250, memory_mb=1769, call_ms=30, input_ms=0.05)
    link: Worker = Worker(batch=100, memory_mb=512, call_ms=20, input_ms=8.0)
    audit: Worker = Worker(batch=100, memory_mb=512, call_ms=20, input_ms=0.1)
    recheck: Worker = Worker(batch=250, memory_mb=512, call_ms=10, input_ms=0.1)
    verify: Worker = Worker(batch=300, memory_mb=512, call_ms=500, input_ms=2.0)
    write_ms: float = 0.05
    """What the client of DynamoDB works on a write, of which 25 go in a call."""

    conditions_failed_share: float = 0.005
    """Writes whose condition fails; each costs its units, and is made again."""

    shards_spare: float = 1.5
    """How many times the mean a provisioned stream can take."""
    shard_bytes_s: int = 1_000_000
    shard_records_s: int = 1000

    notice_batch_max: int = 100
    notice_bytes_max: int = 200_000
    edge_share: float = 0.06
    """The share of rows whose keys make edges."""
    ios_per_synced_key: float = 2
    """One for the vertex that holds the version, one for the edges."""
    graph_gb: float = 10

    transition_bytes: int = 100
    history_months: int = 12

    recheck_bytes: int = 100
    sample_keys: int = 100
    sample_kinds: int = 3
    """Keys of the store, of the cache, of the graph."""
    checks_per_minute: int = 10

    table_gb: float = 100
    """Of each region's replica of the table."""
    cache_nodes: int = 6
    graph_nodes: int = 2
    zones: int = 3
    endpoints: int = 3
    """SNS, SQS and Secrets Manager, for functions inside the private network."""

    log_bytes_per_call: int = 1000
    metrics: int = 60
    alarms: int = 30
    secrets: int = 3

    def apply_at(self, coalescing: float) -> Worker:
        """Apply, with its writes."""
        return replace(self.apply, input_ms=self.apply.input_ms + self.write_ms / coalescing)
