"""Lines for what updates are kept in: the stream, the table, and the copies in other regions."""

from __future__ import annotations

import math

from playerstate.cost.bill import Line, big, gigabytes, per_million, running
from playerstate.cost.load import Capacity
from playerstate.cost.quantities import Quantities

PUT_UNIT_BYTES = 25_000


def stream(q: Quantities, capacity: Capacity) -> list[Line]:
    """The stream that updates wait in, by throughput or by shards."""
    on_demand, provisioned = _on_demand(q), _provisioned(q)
    if capacity != "cheaper":
        return on_demand if capacity == "on-demand" else provisioned
    return min(on_demand, provisioned, key=lambda lines: sum(line.usd for line in lines))


def _on_demand(q: Quantities) -> list[Line]:
    load, prices = q.load, q.prices.kinesis
    n_bytes = load.updates * load.item_bytes
    told = f"{big(load.updates)} x {load.item_bytes} bytes"
    return [
        running("Kinesis", "streams on demand", q.regions, prices.on_demand_stream_hour, f"{q.regions}"),
        gigabytes("Kinesis", "in", n_bytes, prices.on_demand_in_gb, told),
        gigabytes("Kinesis", "out", n_bytes, prices.on_demand_out_gb, "read once"),
    ]


def _provisioned(q: Quantities) -> list[Line]:
    load, given, prices = q.load, q.given, q.prices.kinesis
    a_region_s = load.updates_per_s / q.regions * given.shards_spare
    shards = max(
        math.ceil(a_region_s * load.item_bytes / given.shard_bytes_s),
        math.ceil(a_region_s / given.shard_records_s),
    )
    units = math.ceil(load.item_bytes / PUT_UNIT_BYTES)
    told = f"{q.times}{shards} shards ({given.shards_spare:g} times the mean)"
    return [
        running("Kinesis", "shards", shards * q.regions, prices.shard_hour, told),
        per_million(
            "Kinesis",
            "put units",
            load.updates * units,
            prices.put_units_million,
            f"a record an update, {units} unit(s) of 25 KB",
        ),
    ]


def store(q: Quantities) -> list[Line]:
    """The table: writes, reads, and what is stored."""
    load, given, prices = q.load, q.given, q.prices.dynamodb
    again = 1 + given.conditions_failed_share
    twice = 1 + load.transaction_share
    lines = [
        per_million(
            "DynamoDB",
            "writes",
            load.rows * q.write_units * again * twice,
            prices.write_units_million,
            f"{q.rows_told}, x {q.write_units} unit(s) x {twice:g} (transactions count twice) "
            f"x {again:g} (failed conditions)",
        ),
        per_million(
            "DynamoDB",
            "apply's reads",
            load.rows * q.regions * q.read_units,
            prices.read_units_million,
            f"{q.rows_told}, x a row of each of {q.regions} region(s) x {q.read_units} unit(s), consistent",
        ),
        Line(
            "DynamoDB",
            "storage and recovery",
            q.regions * given.table_gb * (prices.storage_gb_month + prices.recovery_gb_month),
            f"{q.times}{given.table_gb:g} GB, at {prices.storage_gb_month:g} + {prices.recovery_gb_month:g}",
        ),
    ]
    return lines if q.regions == 1 else [*lines, *_replication(q)]


def _replication(q: Quantities) -> list[Line]:
    load, others = q.load, q.regions - 1
    sent = load.rows * others
    told = f"{big(load.rows)} rows x {others} other region(s)"
    return [
        per_million(
            "DynamoDB",
            "replicated writes",
            sent * q.write_units,
            q.prices.dynamodb.write_units_million,
            f"{told} x {q.write_units} unit(s)",
        ),
        per_million(
            "DynamoDB",
            "project's reads",
            q.shown * others * q.read_units,
            q.prices.dynamodb.read_units_million,
            f"{q.shown_told} x the {others} other row(s) x {q.read_units} unit(s)",
        ),
        gigabytes(
            "Network",
            "between regions",
            sent * load.item_bytes,
            q.prices.network.between_regions_gb,
            f"{told} x {load.item_bytes} bytes",
        ),
    ]
