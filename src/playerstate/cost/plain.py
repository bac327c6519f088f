"""The plain design's bill: each update is one record, one write, one notice, one message to the graph.

Everything but the table is in one region; each replica has besides its cache, what fills it, and the way to it.
"""

from __future__ import annotations

import math

from playerstate.cost.bill import KB, MILLION, SECONDS, Bill, Line, big, calls, gigabytes, per_million, running
from playerstate.cost.load import Load
from playerstate.cost.prices import Prices

PROCESSOR_BATCH, PROCESSOR_GB_S = 100, 1.0 * 0.5
CACHE_BATCH, CACHE_GB_S = 50, 0.5 * 0.1
GRAPH_BATCH, GRAPH_GB_S = 10, 0.5 * 0.1
"""Sizes of batches; memory in GB x time in seconds that a call of each function takes."""

PROVISIONED_GB = 10
CACHE_NODES = 6
GRAPH_NODES = 2
GATEWAYS = 3
AROUND_AN_ITEM_BYTES = 635
"""Headers and signatures of the calls in which an item goes to DynamoDB, and comes back, through a NAT gateway."""

CHECKED_PER_S = 100 / 5
"""Samples are checked, and each check is recorded."""

LOG_BYTES_PER_CALL = 300
TABLE_GB = 100


def plain_bill(load: Load, prices: Prices) -> Bill:
    """A month of the plain design; how far its updates could be coalesced changes nothing."""
    return Bill((*_home(load, prices), *_replicas(load, prices)))


def _home(load: Load, prices: Prices) -> list[Line]:
    updates = load.updates
    told = f"{load.updates_per_s:,.0f} updates/s x {SECONDS:,} s"
    units = math.ceil(load.item_bytes / KB)
    n_bytes = updates * load.item_bytes
    kinesis, dynamodb = prices.kinesis, prices.dynamodb
    called = updates / PROCESSOR_BATCH + updates / CACHE_BATCH + updates / GRAPH_BATCH
    provisioned_usd = PROVISIONED_GB * SECONDS * prices.lambda_.x86_provisioned_gb_s
    return [
        per_million("DynamoDB", "writes", updates * units, dynamodb.write_units_million, f"{told} x {units} unit(s)"),
        per_million("SNS", "notices", updates, prices.sns.publishes_million, f"one an update: {told}"),
        running("Kinesis", "stream on demand", 1, kinesis.on_demand_stream_hour, "1 stream"),
        gigabytes("Kinesis", "in", n_bytes, kinesis.on_demand_in_gb, f"{big(updates)} x {load.item_bytes} bytes"),
        gigabytes("Kinesis", "out", n_bytes, kinesis.on_demand_out_gb, "read once"),
        per_million(
            "SQS",
            "messages of the graph's queue",
            updates * 2 / GRAPH_BATCH,
            prices.sqs.requests_million,
            f"{big(updates)}, received and deleted by {GRAPH_BATCH}",
        ),
        running("ElastiCache", "nodes", CACHE_NODES, prices.elasticache.r7g_large_redis_hour, "6 r7g.large, Redis"),
        running("Neptune", "instances", GRAPH_NODES, prices.neptune.r5_large_hour, "2 r5.large"),
        per_million("Neptune", "I/O", updates, prices.neptune.io_million, f"one an update: {told}"),
        *_gateways(load, prices, 1),
        _called("processor", updates, PROCESSOR_BATCH, PROCESSOR_GB_S, prices),
        _called("cache writer", updates, CACHE_BATCH, CACHE_GB_S, prices),
        _called("graph updater", updates, GRAPH_BATCH, GRAPH_GB_S, prices),
        Line(
            "Lambda", "provisioned", provisioned_usd, f"{PROVISIONED_GB} GB kept warm for the processor x {SECONDS:,} s"
        ),
        Line(
            "Timestream",
            "records of checks",
            CHECKED_PER_S * SECONDS / MILLION * prices.timestream.live_writes_million,
            f"{CHECKED_PER_S:g} checks/s, at {prices.timestream.live_writes_million:g} a million",
        ),
        gigabytes(
            "CloudWatch",
            "logs",
            called * LOG_BYTES_PER_CALL,
            prices.cloudwatch.logs_gb,
            f"{big(called)} calls x {LOG_BYTES_PER_CALL} bytes",
        ),
        Line(
            "DynamoDB",
            "storage and recovery",
            TABLE_GB * (dynamodb.storage_gb_month + dynamodb.recovery_gb_month),
            f"{TABLE_GB} GB",
        ),
    ]


def _replicas(load: Load, prices: Prices) -> list[Line]:
    others = load.regions - 1
    if not others:
        return []
    written = load.updates * others
    units = math.ceil(load.item_bytes / KB)
    return [
        per_million(
            "DynamoDB",
            "replicated writes",
            written * units,
            prices.dynamodb.write_units_million,
            f"{others} replica(s) x {big(load.updates)} x {units} unit(s)",
        ),
        gigabytes(
            "Network",
            "between regions",
            written * load.item_bytes,
            prices.network.between_regions_gb,
            f"{others} replica(s) x {big(load.updates)} x {load.item_bytes} bytes",
        ),
        running(
            "ElastiCache",
            "replicas' nodes",
            CACHE_NODES * others,
            prices.elasticache.r7g_large_redis_hour,
            f"{others} x 6 r7g.large, Redis",
        ),
        _called("replicas' cache writers", written, CACHE_BATCH, CACHE_GB_S, prices),
        *_gateways(load, prices, others),
    ]


def _called(what: str, inputs: float, batch: int, gb_s: float, prices: Prices) -> Line:
    formula = f"{big(inputs)} by {batch}"
    return calls(what, inputs / batch, gb_s, prices.lambda_.calls_million, prices.lambda_.x86_gb_s, formula)


def _gateways(load: Load, prices: Prices, regions: int) -> list[Line]:
    each = 2 * load.item_bytes + AROUND_AN_ITEM_BYTES
    where = "" if regions == 1 else f"{regions} x "
    return [
        running("Network", "NAT gateways", GATEWAYS * regions, prices.network.nat_hour, f"{where}{GATEWAYS} gateways"),
        gigabytes(
            "Network",
            "through NAT",
            load.updates * each * regions,
            prices.network.nat_gb,
            f"{where}{big(load.updates)} x (2 x {load.item_bytes} + {AROUND_AN_ITEM_BYTES}) bytes",
        ),
    ]
