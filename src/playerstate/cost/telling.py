"""Lines for what is told of a changed row, and who listens: notices, cache, graph, history."""

from __future__ import annotations

from playerstate.cost.bill import Line, big, gigabytes, per_million, running
from playerstate.cost.quantities import Quantities


def notices(q: Quantities) -> list[Line]:
    """The topic, and a queue for each consumer group: messages of many notices."""
    given = q.given
    chunks = q.messages * q.chunks_a_message
    received = 1 + given.edge_share
    told = f"{q.shown_told} by {q.notices_a_message} = {big(q.messages)} messages"
    return [
        per_million(
            "SNS",
            "notices",
            chunks,
            q.prices.sns.publishes_million,
            f"{told} x {q.chunks_a_message} chunk(s) of 64 KB",
        ),
        per_million(
            "SQS",
            "notices",
            (chunks + q.messages) * received,
            q.prices.sqs.requests_million,
            f"{told}, {q.chunks_a_message} chunk(s) received and 1 deletion each, "
            f"by audit all and by link {given.edge_share:.0%}",
        ),
    ]


def cache_and_graph(q: Quantities) -> list[Line]:
    """The cache and the graph."""
    given, prices = q.given, q.prices
    ios = q.shown * given.edge_share * given.ios_per_synced_key
    return [
        running(
            "ElastiCache",
            "nodes",
            given.cache_nodes * q.regions,
            prices.elasticache.r7g_large_valkey_hour,
            f"{q.times}{given.cache_nodes} r7g.large, Valkey",
        ),
        running(
            "Neptune",
            "instances",
            given.graph_nodes * q.regions,
            prices.neptune.r6g_large_hour,
            f"{q.times}{given.graph_nodes} r6g.large",
        ),
        per_million(
            "Neptune",
            "I/O",
            ios,
            prices.neptune.io_million,
            f"{q.shown_told} x {given.edge_share:.0%} that make edges x {given.ios_per_synced_key:g}",
        ),
        Line(
            "Neptune",
            "storage",
            q.regions * given.graph_gb * prices.neptune.storage_gb_month,
            f"{q.times}{given.graph_gb:g} GB, at {prices.neptune.storage_gb_month:g}",
        ),
    ]


def history(q: Quantities) -> list[Line]:
    """Every transition, kept; by the region whose updates made it."""
    load, given, prices = q.load, q.given, q.prices.timestream
    return [
        running("Timestream", "InfluxDB", q.regions, prices.influx_medium_hour, f"{q.times}1 medium"),
        gigabytes(
            "Timestream",
            "history",
            load.rows * given.transition_bytes * given.history_months,
            prices.influx_storage_gb_month,
            f"{q.rows_told}, x {given.transition_bytes} bytes x {given.history_months} months kept",
        ),
    ]
