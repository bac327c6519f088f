"""`playerstate cost`: what a month on AWS costs, beside the plain design."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from playerstate.cli.common import AsJson


class Stream(StrEnum):
    """How the stream is paid for."""

    CHEAPER = "cheaper"
    PROVISIONED = "provisioned"
    ON_DEMAND = "on-demand"


def cost(
    *,
    updates_per_second: Annotated[
        float, typer.Option(min=0.001, max=10_000_000, help="Of all regions together, on average.")
    ] = 2550,
    item_bytes: Annotated[
        int, typer.Option(min=1, max=400_000, help="The size of a stored row, and of an update.")
    ] = 1024,
    regions: Annotated[int, typer.Option(min=1, max=30, help="How many regions there are.")] = 1,
    coalescing: Annotated[
        float, typer.Option(min=1, max=1000, help="Updates to a row that is written, as `bench` prints it.")
    ] = 2,
    transaction_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="The share of rows that are written by transactions, at twice the price."),
    ] = 0.05,
    kinesis: Annotated[Stream, typer.Option(help="How the stream is paid for.")] = Stream.CHEAPER,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="PATH", show_default=False, help="Other prices, in the form of prices.toml."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Every line with its formula.")] = False,
    as_json: AsJson = False,
) -> None:
    """Work out a month's bill on AWS, by service, at list prices, and what the plain design would cost.

    The plain design makes one record, one write, one notice and one message of each update.

    Example: playerstate cost --updates-per-second 2550 --regions 3
    """
    from playerstate.cli import console
    from playerstate.cli.cost_tables import Estimate, describe_cost, show_cost, show_lines
    from playerstate.cost.load import Load
    from playerstate.cost.prices import list_prices

    load = Load(updates_per_second, item_bytes, regions, coalescing, transaction_share)
    estimate = Estimate.of(load, list_prices(prices), kinesis.value)
    if as_json:
        console.document(describe_cost(estimate))
    elif explain:
        show_lines(estimate)
    else:
        show_cost(estimate)
