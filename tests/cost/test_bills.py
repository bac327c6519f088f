"""The bills: what is known of the plain design's, and how both follow traffic and prices."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import playerstate
from playerstate.cost.bill import MILLION, Bill, Line
from playerstate.cost.load import Assumptions, Load
from playerstate.cost.plain import plain_bill
from playerstate.cost.prices import list_prices, parse_prices
from playerstate.cost.system import system_bill
from playerstate.errors import PricesRefused

PRICES = list_prices()
LOAD = Load()
OVER_A_KILOBYTE = replace(LOAD, item_bytes=1025)
PRICES_FILE = Path(playerstate.__file__).parent / "cost" / "prices.toml"

TARGET = 0.35
"""Of the plain design's bill: what this system's may be at two updates to a row."""


def of(bill: Bill, service: str, *whats: str) -> float:
    """What some of a service's lines come to, or all."""
    found = [line for line in bill.lines if line.service == service and (not whats or line.what in whats)]
    assert len(found) >= len(whats)
    return sum(line.usd for line in found)


@pytest.mark.parametrize(
    ("service", "whats", "usd"),
    [
        ("DynamoDB", ["writes"], 4188),
        ("SNS", [], 3351),
        ("Kinesis", [], 796),
        ("SQS", [], 536),
        ("ElastiCache", [], 959),
        ("Neptune", ["I/O"], 1340),
        ("Neptune", ["instances"], 508),
        ("Network", [], 852),
        ("Lambda", ["graph updater"], 692),
        ("Lambda", ["processor"], 572),
    ],
)
def test_the_plain_design_costs_what_is_known(service: str, whats: list[str], usd: float) -> None:
    """Each of the large parts follows from unit prices and from how the design is drawn."""
    assert of(plain_bill(LOAD, PRICES), service, *whats) == pytest.approx(usd, rel=0.02)


def test_the_plain_design_over_a_kilobyte() -> None:
    """A byte more than 1 KB makes two write units of one."""
    assert of(plain_bill(OVER_A_KILOBYTE, PRICES), "DynamoDB", "writes") == pytest.approx(8377, rel=0.02)


@pytest.mark.parametrize(
    ("load", "usd"),
    [
        (LOAD, 14_300),
        (OVER_A_KILOBYTE, 18_500),
        (replace(LOAD, regions=3), 26_800),
        (replace(OVER_A_KILOBYTE, regions=3), 39_400),
    ],
)
def test_the_plain_design_as_a_whole(load: Load, usd: float) -> None:
    """With its small parts too, in one region and in three."""
    assert plain_bill(load, PRICES).usd == pytest.approx(usd, rel=0.02)


def test_the_target() -> None:
    """At 2,550 updates/s, in one region, two updates to a row, the bill is at most 35 % of the plain design's."""
    bill = system_bill(LOAD, PRICES)
    assert bill.usd <= TARGET * plain_bill(LOAD, PRICES).usd
    assert bill.usd <= TARGET * 14_300


@pytest.mark.parametrize("load", [LOAD, replace(LOAD, regions=3), replace(LOAD, updates_per_s=20, item_bytes=9000)])
def test_more_costs_more(load: Load) -> None:
    """More updates, more regions, larger rows, more transactions, less coalescing: no line becomes cheaper.

    But for shards: there are whole ones in every region.
    """
    bill = system_bill(load, PRICES)
    for more in (
        replace(load, updates_per_s=load.updates_per_s * 2),
        replace(load, regions=load.regions + 1),
        replace(load, item_bytes=load.item_bytes * 2),
        replace(load, transaction_share=0.5),
        replace(load, coalescing=1),
    ):
        dearer = {(line.service, line.what): line.usd for line in system_bill(more, PRICES).lines}
        assert system_bill(more, PRICES).usd > bill.usd
        assert all(dearer[line.service, line.what] >= line.usd - 1e-9 for line in bill.lines if line.what != "shards")


def test_a_row_of_every_region_is_read() -> None:
    """Apply reads one row a region, project the others'; every region pays for the writes that reach it."""
    one, three = system_bill(LOAD, PRICES), system_bill(replace(LOAD, regions=3), PRICES)
    assert of(three, "DynamoDB", "apply's reads") == pytest.approx(3 * of(one, "DynamoDB", "apply's reads"))
    assert of(three, "DynamoDB", "project's reads") == pytest.approx(3 * 2 * of(one, "DynamoDB", "apply's reads"))
    usd = LOAD.rows * 2 / MILLION * PRICES.dynamodb.write_units_million
    assert of(three, "DynamoDB", "replicated writes") == pytest.approx(usd)


def test_transactions_count_twice() -> None:
    """All rows written by transactions: twice the write units, and nothing else."""
    without = system_bill(replace(LOAD, transaction_share=0), PRICES)
    with_them = system_bill(replace(LOAD, transaction_share=1), PRICES)
    writes = of(without, "DynamoDB", "writes")
    assert of(with_them, "DynamoDB", "writes") == pytest.approx(2 * writes)
    assert with_them.usd - without.usd == pytest.approx(writes)


def test_notices_are_paid_by_their_bytes() -> None:
    """Small notices go by the hundred; large ones so many as a message holds, and by the 64 KB."""
    small = of(system_bill(replace(LOAD, item_bytes=100), PRICES), "SNS")
    assert small == pytest.approx(LOAD.rows / 100 / MILLION * PRICES.sns.publishes_million)
    large = of(system_bill(replace(LOAD, item_bytes=50_000), PRICES), "SNS")
    assert large == pytest.approx(LOAD.rows / 4 * 4 / MILLION * PRICES.sns.publishes_million)


@pytest.mark.parametrize("updates_per_s", [1.0, 2550.0, 50_000.0])
def test_the_stream_is_the_cheaper_one(updates_per_s: float) -> None:
    """Unless one of both is asked for."""
    load = replace(LOAD, updates_per_s=updates_per_s)
    cheaper, provisioned, on_demand = (
        of(system_bill(load, PRICES, capacity=capacity), "Kinesis")
        for capacity in ("cheaper", "provisioned", "on-demand")
    )
    assert provisioned != on_demand
    assert cheaper == min(provisioned, on_demand)


def test_shards_have_room() -> None:
    """A region's shards take its share of the records and of the bytes, whichever needs more."""
    given = Assumptions()
    for load in (LOAD, replace(LOAD, item_bytes=10_000), replace(LOAD, regions=2)):
        (shards,) = (line for line in system_bill(load, PRICES, given, "provisioned").lines if line.what == "shards")
        n = shards.usd / 730 / PRICES.kinesis.shard_hour / load.regions
        a_region = load.updates_per_s / load.regions * given.shards_spare
        assert n - 1 < max(a_region / given.shard_records_s, a_region * load.item_bytes / given.shard_bytes_s) <= n


def follows(line: Line) -> float | None:
    """What a formula comes to by its last words, if those are a number and a price."""
    found = re.search(r"= ([\d,.]+)( billion| million|)( GB|), at ([\d.]+)( a million|)$", line.formula)
    if found is None:
        return None
    n = float(found[1].replace(",", "")) * {" billion": 1e9, " million": 1e6, "": 1}[found[2]]
    return n * float(found[4]) / (MILLION if found[5] else 1)


@pytest.mark.parametrize("regions", [1, 3])
def test_formulas_lead_to_their_figures(regions: int) -> None:
    """Who works a formula out finds the line's figure; every line has one."""
    load = replace(LOAD, regions=regions)
    lines = [*plain_bill(load, PRICES).lines, *system_bill(load, PRICES).lines]
    checked = [(line, usd) for line in lines if (usd := follows(line)) is not None]
    assert len(checked) >= 15
    for line, usd in checked:
        assert line.usd == pytest.approx(usd, rel=0.01), line
    assert all(line.formula and line.usd >= 0 for line in lines)


def test_services_sum_to_the_whole() -> None:
    """No line is left out of the sums."""
    bill = system_bill(LOAD, PRICES)
    assert sum(bill.by_service.values()) == pytest.approx(bill.usd)
    assert list(bill.by_service.values()) == sorted(bill.by_service.values(), reverse=True)


def test_every_price_counts() -> None:
    """A price that is doubled makes a bill larger: none stands there for nothing."""
    text = PRICES_FILE.read_text("utf-8")
    load = replace(LOAD, regions=2)

    def bills(prices_text: str) -> float:
        prices = parse_prices(prices_text)
        plain = plain_bill(load, prices).usd
        return plain + sum(
            system_bill(load, prices, capacity=capacity).usd for capacity in ("provisioned", "on-demand")
        )

    usd = bills(text)
    numbers = list(re.finditer(r"^\w+ = ([\d.]+)", text, re.M))
    assert len(numbers) > 30
    for number in numbers:
        doubled = f"{text[: number.start(1)]}{2 * float(number[1]):.12f}{text[number.end(1) :]}"
        assert bills(doubled) > usd, number[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("shard_hour", "shards_hour", "shard"),
        ("write_units_million = 0.625", "", "write_units_million"),
        ("requests_million = 0.40", "requests_million = -1", "requests_million"),
        ("[sns]", "[sns", "TOML"),
    ],
)
def test_prices_that_cannot_be_used(tmp_path: Path, old: str, new: str, words: str) -> None:
    """One that is missing, misspelt or impossible is named; so is a file that is not there."""
    text = PRICES_FILE.read_text("utf-8")
    assert old in text
    with pytest.raises(PricesRefused, match=words if words != "TOML" else "cannot be used"):
        parse_prices(text.replace(old, new))
    with pytest.raises(PricesRefused, match="elsewhere"):
        list_prices(tmp_path / "elsewhere.toml")
