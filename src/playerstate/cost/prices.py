"""The unit prices, read from `prices.toml`: in US dollars, with the unit at the end of each name."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from playerstate.errors import PricesRefused

Usd = Annotated[float, Meta(ge=0, le=1_000_000)]


class _Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No price is missing, and none is misspelt."""


class About(_Prices, frozen=True):
    """Where and when the prices held."""

    region: str
    as_of: str


class Kinesis(_Prices, frozen=True):
    """Streams: by throughput, or by shards."""

    on_demand_stream_hour: Usd
    on_demand_in_gb: Usd
    on_demand_out_gb: Usd
    shard_hour: Usd
    put_units_million: Usd


class DynamoDb(_Prices, frozen=True):
    """Tables that are paid by the request."""

    write_units_million: Usd
    read_units_million: Usd
    storage_gb_month: Usd
    recovery_gb_month: Usd


class Lambda(_Prices, frozen=True):
    """Functions, on both kinds of machine."""

    calls_million: Usd
    x86_gb_s: Usd
    arm_gb_s: Usd
    x86_provisioned_gb_s: Usd


class Sns(_Prices, frozen=True):
    """Topics."""

    publishes_million: Usd


class Sqs(_Prices, frozen=True):
    """Queues."""

    requests_million: Usd


class ElastiCache(_Prices, frozen=True):
    """Nodes of a cache."""

    r7g_large_redis_hour: Usd
    r7g_large_valkey_hour: Usd


class Neptune(_Prices, frozen=True):
    """The graph."""

    r5_large_hour: Usd
    r6g_large_hour: Usd
    io_million: Usd
    storage_gb_month: Usd


class Timestream(_Prices, frozen=True):
    """Both kinds of it."""

    live_writes_million: Usd
    influx_medium_hour: Usd
    influx_storage_gb_month: Usd


class Network(_Prices, frozen=True):
    """Ways in and out of private networks, and between regions."""

    nat_hour: Usd
    nat_gb: Usd
    endpoint_zone_hour: Usd
    endpoint_gb: Usd
    between_regions_gb: Usd


class CloudWatch(_Prices, frozen=True):
    """Logs, metrics, alarms."""

    logs_gb: Usd
    metric_month: Usd
    alarm_month: Usd
    dashboard_month: Usd


class StepFunctions(_Prices, frozen=True):
    """Express workflows."""

    express_million: Usd
    express_gb_s: Usd


class Keys(_Prices, frozen=True):
    """Keys and secrets."""

    kms_key_month: Usd
    secret_month: Usd


class Prices(_Prices, frozen=True, rename={"lambda_": "lambda"}):
    """All unit prices, by service."""

    about: About
    kinesis: Kinesis
    dynamodb: DynamoDb
    lambda_: Lambda
    sns: Sns
    sqs: Sqs
    elasticache: ElastiCache
    neptune: Neptune
    timestream: Timestream
    network: Network
    cloudwatch: CloudWatch
    step_functions: StepFunctions
    keys: Keys


def parse_prices(text: str) -> Prices:
    """Prices from TOML. Raises `PricesRefused`, saying what is missing or wrong."""
    try:
        return msgspec.convert(tomllib.loads(text), Prices)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise PricesRefused(f"The prices cannot be used: {exc}") from exc


def list_prices(path: Path | None = None) -> Prices:
    """The prices of a file; without one, those that come with the product. Raises `PricesRefused`."""
    if path is None:
        return parse_prices(resources.files(__package__).joinpath("prices.toml").read_text("utf-8"))
    try:
        return parse_prices(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise PricesRefused(f"The prices in {path} cannot be read: {exc}") from exc
