"""Lines for what runs, what checks, and what stands around: functions, verification, network, logs."""

from __future__ import annotations

import math

from playerstate.cost.bill import HOURS, MILLION, Line, big, gigabytes, per_million, running
from playerstate.cost.quantities import CHUNK_BYTES, Quantities

MINUTES = HOURS * 60
WORKFLOW_S, WORKFLOW_GB = 60, 64 / 1024


def functions(q: Quantities) -> list[Line]:
    """The functions that updates and rows go through."""
    return [q.called(*work) for work in q.work]


def checks(q: Quantities) -> list[Line]:
    """Verification: samples all the time, and every change once more."""
    given, prices = q.given, q.prices
    samplings = MINUTES * given.checks_per_minute * q.regions
    keys = given.sample_keys * given.sample_kinds
    told = f"{q.times}{given.checks_per_minute} checks a minute"
    messages = q.shown / given.recheck.batch
    chunks = math.ceil(given.recheck.batch * given.recheck_bytes / CHUNK_BYTES)
    workflows = MINUTES * q.regions
    return [
        per_million(
            "DynamoDB",
            "verification's reads",
            samplings * keys * q.regions * q.read_units,
            prices.dynamodb.read_units_million,
            f"{told} x {keys} keys x {q.regions} row(s), consistent",
        ),
        q.called("verify", samplings * keys, given.verify, f"{told} x {keys} keys"),
        per_million(
            "SQS",
            "changes to look at again",
            messages * (2 * chunks + 1),
            prices.sqs.requests_million,
            f"{q.shown_told} by {given.recheck.batch}, sent, received and deleted",
        ),
        Line(
            "Step Functions",
            "workflows",
            workflows * prices.step_functions.express_million / MILLION
            + workflows * WORKFLOW_S * WORKFLOW_GB * prices.step_functions.express_gb_s,
            f"{q.times}1 a minute of {WORKFLOW_S} s and 64 MB",
        ),
    ]


def surroundings(q: Quantities) -> list[Line]:
    """Endpoints, logs, metrics, keys."""
    load, given, prices = q.load, q.given, q.prices
    called = sum(inputs / worker.batch for _, inputs, worker, _ in q.work)
    watched = prices.cloudwatch
    watched_usd = given.metrics * watched.metric_month + given.alarms * watched.alarm_month + watched.dashboard_month
    doors = given.endpoints * given.zones
    return [
        running(
            "Network",
            "endpoints",
            doors * q.regions,
            prices.network.endpoint_zone_hour,
            f"{q.times}{given.endpoints} in {given.zones} zones",
        ),
        gigabytes(
            "Network",
            "through endpoints",
            q.shown * load.item_bytes,
            prices.network.endpoint_gb,
            f"notices: {q.shown_told} x {load.item_bytes} bytes",
        ),
        gigabytes(
            "CloudWatch",
            "logs, with metrics in them",
            called * given.log_bytes_per_call,
            watched.logs_gb,
            f"{big(called)} calls x {given.log_bytes_per_call} bytes",
        ),
        Line(
            "CloudWatch",
            "metrics and alarms",
            q.regions * watched_usd,
            f"{q.times}{given.metrics} metrics, {given.alarms} alarms, 1 dashboard",
        ),
        Line(
            "Keys",
            "keys and secrets",
            q.regions * (prices.keys.kms_key_month + given.secrets * prices.keys.secret_month),
            f"{q.times}1 key, {given.secrets} secrets",
        ),
    ]
