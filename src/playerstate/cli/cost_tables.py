"""A month's bill for people, and as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from playerstate.cli import console
from playerstate.cost.bill import Bill
from playerstate.cost.load import Assumptions, Capacity, Load
from playerstate.cost.plain import plain_bill
from playerstate.cost.prices import Prices
from playerstate.cost.system import system_bill

BESIDE = (1.0, 2.0, 3.0)
"""Degrees of coalescing that are shown beside the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was asked for, the bills by coalescing, and the plain design's."""

    load: Load
    prices: Prices
    bills: dict[float, Bill]
    plain: Bill

    @classmethod
    def of(cls, load: Load, prices: Prices, capacity: Capacity) -> Estimate:
        """Work the bills out."""
        degrees = sorted({*BESIDE, load.coalescing})
        bills = {degree: system_bill(replace(load, coalescing=degree), prices, capacity=capacity) for degree in degrees}
        return cls(load, prices, bills, plain_bill(load, prices))

    @property
    def bill(self) -> Bill:
        """The bill at the coalescing that was asked for."""
        return self.bills[self.load.coalescing]

    @property
    def title(self) -> str:
        """What the figures are of."""
        load, about = self.load, self.prices.about
        where = "1 region" if load.regions == 1 else f"{load.regions} regions"
        return (
            f"USD a month: {load.updates_per_s:,g} updates/s, rows of {load.item_bytes:,} bytes, {where}; "
            f"list prices of {about.region}, {about.as_of}"
        )


def describe_cost(estimate: Estimate) -> dict[str, Any]:
    """The estimate as data."""
    bill, plain = estimate.bill, estimate.plain
    return {
        "region": estimate.prices.about.region,
        "prices_as_of": estimate.prices.about.as_of,
        "load": asdict(estimate.load),
        "assumptions": asdict(Assumptions()),
        "total_usd_month": _rounded(bill.usd),
        "by_service": {name: _rounded(usd) for name, usd in bill.by_service.items()},
        "by_coalescing": {f"{degree:g}": _rounded(other.usd) for degree, other in estimate.bills.items()},
        "lines": _lines(bill),
        "share_of_plain": round(bill.usd / plain.usd, 4),
        "plain": {
            "total_usd_month": _rounded(plain.usd),
            "by_service": {name: _rounded(usd) for name, usd in plain.by_service.items()},
            "lines": _lines(plain),
        },
    }


def show_cost(estimate: Estimate) -> None:
    """A row a service, a column a degree of coalescing, and the plain design's."""
    bills = [*estimate.bills.values(), estimate.plain]
    names = dict.fromkeys([*estimate.bill.by_service, *estimate.plain.by_service])
    rows = [[name, *(_usd(bill.by_service.get(name)) for bill in bills)] for name in names]
    rows.append(["all", *(_usd(bill.usd) for bill in bills)])
    rows.append(["share of the plain design's", *(f"{bill.usd / estimate.plain.usd:.1%}" for bill in bills)])
    degrees = [f"{degree:g} update(s) a row" for degree in estimate.bills]
    console.table(["service", *degrees, "plain design"], rows, title=estimate.title)


def show_lines(estimate: Estimate) -> None:
    """Every line of both bills, with how it follows."""
    load = estimate.load
    for bill, of in (
        (estimate.bill, f"{load.coalescing:g} update(s) a row that is written"),
        (estimate.plain, "the plain design"),
    ):
        rows = [[line.service, line.what, _usd(line.usd), line.formula] for line in bill.lines]
        rows.append(["all", "", _usd(bill.usd), ""])
        console.table(["service", "", "USD", "how it follows"], rows, title=f"{estimate.title}; {of}")


def _lines(bill: Bill) -> list[dict[str, Any]]:
    return [
        {"service": line.service, "what": line.what, "usd_month": _rounded(line.usd), "formula": line.formula}
        for line in bill.lines
    ]


def _usd(usd: float | None) -> str:
    return "" if usd is None else f"{usd:,.0f}"


def _rounded(usd: float) -> float:
    return round(usd, 2)
