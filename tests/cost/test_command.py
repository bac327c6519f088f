"""`playerstate cost`, and the page about it: the figures there are the model's."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from docs.markdown import read, section, table_rows
from playerstate.cli.main import run
from playerstate.cost.load import Assumptions

Capture = pytest.CaptureFixture[str]
PAGE = read("docs/cost.md")


def told(capsys: Capture, *options: str) -> Any:
    assert run(["cost", *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def figure(usd: float | None) -> str:
    return "" if usd is None else f"{usd:,.0f}"


def test_the_table_of_the_page(capsys: Capture) -> None:
    """Service by service, at each degree of coalescing and in the plain design."""
    found = [told(capsys, "--coalescing", degree) for degree in "123"]
    plain = found[1]["plain"]
    sums = [*(bill["by_service"] for bill in found), plain["by_service"]]
    totals = [*(bill["total_usd_month"] for bill in found), plain["total_usd_month"]]
    services = {**sums[1], **sums[3]}
    expected = [[service, *(figure(by_service.get(service)) for by_service in sums)] for service in services]
    expected.append(["all", *map(figure, totals)])
    expected.append(["share of the plain design's", *(f"{usd / totals[3]:.1%}" for usd in totals)])
    assert table_rows(PAGE)[: len(expected)] == expected


def test_the_other_figures_of_the_page(capsys: Capture) -> None:
    """Each row is what the command says with its options."""
    rows = table_rows(section(PAGE, "What else changes it"))
    assert len(rows) >= 5
    for options, *figures in rows:
        bill = told(capsys, *shlex.split(options.strip("`")))
        plain_usd = bill["plain"]["total_usd_month"]
        share = f"{bill['total_usd_month'] / plain_usd:.1%}"
        assert figures == [figure(bill["total_usd_month"]), figure(plain_usd), share]


def test_as_data(capsys: Capture) -> None:
    """What programs read agrees with itself, and says what it rests on."""
    bill = told(capsys, "--coalescing", "2.5", "--regions", "2")
    assert sum(line["usd_month"] for line in bill["lines"]) == pytest.approx(bill["total_usd_month"], abs=0.5)
    assert bill["by_coalescing"]["2.5"] == bill["total_usd_month"]
    assert set(bill["by_coalescing"]) == {"1", "2", "2.5", "3"}
    assert bill["load"]["regions"] == 2
    assert bill["assumptions"]["apply"]["memory_mb"] == Assumptions().apply.memory_mb
    assert bill["region"] == "us-east-1"
    assert bill["prices_as_of"]


def test_for_people(capsys: Capture) -> None:
    """A column for each degree, the one that was asked for among them; with --explain every line and its formula."""
    assert run(["cost", "--coalescing", "2.5"]) == 0
    table = capsys.readouterr().out
    for words in ("1 update", "2.5 update", "3 update", "plain design", "DynamoDB", "share of the plain"):
        assert words in table
    assert run(["cost", "--explain"]) == 0
    lines = capsys.readouterr().out
    for words in ("apply's reads", "NAT gateways", "at 0.625 a million"):
        assert words in lines


def test_other_prices(tmp_path: Path, capsys: Capture) -> None:
    """Are used if they are whole; otherwise exit code 1, and why."""
    prices = tmp_path / "prices.toml"
    text = read("src/playerstate/cost/prices.toml")
    prices.write_text(text.replace("us-east-1", "mars-1").replace("= 0.625", "= 6.25"), "utf-8")
    dear = told(capsys, "--prices", str(prices))
    assert dear["region"] == "mars-1"
    assert dear["total_usd_month"] > told(capsys)["total_usd_month"]
    prices.write_text("[about]", "utf-8")
    assert run(["cost", "--prices", str(prices), "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "prices_refused"


@pytest.mark.parametrize("wrong", [["--regions", "0"], ["--coalescing", "0.5"], ["--kinesis", "free"]])
def test_called_wrongly(capsys: Capture, wrong: list[str]) -> None:
    """What cannot be is a mistake in the call."""
    assert run(["cost", *wrong, "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "usage"
