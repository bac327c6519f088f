"""A month's bill: lines, each with its formula in words, and what they come to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

HOURS = 730
SECONDS = HOURS * 3600
MILLION = 1_000_000
GB = 2**30
KB = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is paid for: `usd` a month, and how that follows."""

    service: str
    what: str
    usd: float
    formula: str


@dataclass(frozen=True, slots=True)
class Bill:
    """All lines of a month, of all regions together."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """The sum of all lines."""
        return sum(line.usd for line in self.lines)

    @property
    def by_service(self) -> dict[str, float]:
        """The sum of each service's lines, the largest first."""
        sums: defaultdict[str, float] = defaultdict(float)
        for line in self.lines:
            sums[line.service] += line.usd
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def per_million(service: str, what: str, n: float, usd: float, formula: str) -> Line:
    """A line for so many of something that is priced by the million; `formula` says where the number comes from."""
    return Line(service, what, n / MILLION * usd, f"{formula} = {big(n)}, at {usd:g} a million")


def running(service: str, what: str, n: float, usd_hour: float, formula: str) -> Line:
    """A line for so many things that run all the month."""
    return Line(service, what, n * HOURS * usd_hour, f"{formula} x {HOURS} hours, at {usd_hour:g}")


def gigabytes(service: str, what: str, n_bytes: float, usd: float, formula: str) -> Line:
    """A line for so many bytes that are priced by the GB."""
    return Line(service, what, n_bytes / GB * usd, f"{formula} = {n_bytes / GB:,.0f} GB, at {usd:g}")


def calls(what: str, n: float, gb_s: float, usd_million: float, usd_gb_s: float, formula: str) -> Line:
    """A line for so many calls of a Lambda function, which take so many GB-seconds each."""
    usd = n / MILLION * usd_million + n * gb_s * usd_gb_s
    told = f"{formula} = {big(n)} calls, at {usd_million:g} a million and {gb_s:.4f} GB-s each, at {_plain(usd_gb_s)}"
    return Line("Lambda", what, usd, told)


def _plain(usd: float) -> str:
    return f"{usd:.10f}".rstrip("0")


def big(n: float) -> str:
    """A large number, for people."""
    for limit, name in (1e9, "billion"), (1e6, "million"):
        if n >= limit:
            return f"{n / limit:,.3f} {name}"
    return f"{n:,.0f}"
