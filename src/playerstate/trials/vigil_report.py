"""What a vigil is asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from playerstate.core.answers import Stats, VerificationStats
from playerstate.core.findings import CACHE, GRAPH, STORE, Finding, Repair
from playerstate.core.rechecks import nines
from playerstate.node import Node
from playerstate.runtime.freshness import quantile

FOUND_WITHIN_S = 120.0
"""How soon what is planted has to be found, where something older is planted once it counts as stuck. What nobody draws
by chance is met by the walk through everything, which takes about half of that under load."""


EVERYWHERE = {STORE, CACHE, GRAPH}


class VigilOptions(msgspec.Struct, frozen=True):
    """How long, at how many updates a second, and how many of each kind are planted.

    With `regions` there are two, with `lag_ms` on the way between them, which is cut for `parted_s` in the middle.
    `settings` is the text of the nodes' settings file.
    """

    seconds: float = 60.0
    rate_per_s: int = 2550
    planted_each: int = 0
    regions: bool = True
    lag_ms: int = 0
    parted_s: float = 0.0
    settings: str = ""


class Planted(msgspec.Struct):
    """One disagreement that was planted, and the finding that it came to; times are in seconds since then.

    It has to be found within `limit_s`.
    """

    name: str
    place: str
    kind: str
    key: str
    planted_at: int
    limit_s: float = FOUND_WITHIN_S
    found_as: str = ""
    found_after_s: float | None = None
    repair: str = ""
    repaired_after_s: float | None = None

    @property
    def put_right(self) -> bool:
        """Whether it was found, called what it is, and put right, however late."""
        return self.found_as == f"{self.place}:{self.kind}" and self.repair == Repair.REPAIRED

    @property
    def ok(self) -> bool:
        """Whether it was found in time, called what it is, and put right."""
        return self.put_right and self.found_after_s is not None and self.found_after_s <= self.limit_s


class VigilReport(msgspec.Struct):
    """What came of it. `unexpected` are findings of what nobody has planted, `agrees` whether all agrees at the end.

    `nines_within_s` is by age; `cpu_share` is each stage's part of one core, by region.
    """

    seconds: float
    sent: int
    rate_per_s: float
    planted: list[Planted]
    unexpected: list[Finding]
    agrees: bool
    freshness_ms: dict[str, float | None]
    nines_within_s: dict[str, float]
    cpu_share: dict[str, dict[str, float]]
    verification: dict[str, VerificationStats]
    outcomes: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether what was planted was found and put right, nothing else was found, and all agrees at the end.

        Nothing is found either by whoever does not look, so all places must have been compared in every region.
        """
        others = len(self.verification) - 1
        looked = all(
            seen.changes_checked and _places(seen) >= EVERYWHERE and len(_places(seen)) == len(EVERYWHERE) + others
            for seen in self.verification.values()
        )
        return looked and self.agrees and not self.unexpected and all(one.ok for one in self.planted)


def _places(seen: VerificationStats) -> set[str]:
    return {place for place, n in seen.keys_compared.items() if n}


def report_of(
    took_s: float,
    sent: int,
    planted: list[Planted],
    unexpected: list[Finding],
    agrees: bool,
    nodes: Sequence[Node],
    before: Stats,
    after: Stats,
) -> VigilReport:
    """The report. `before` and `after` are the figures of the first node, to which the load was sent."""
    ages = {bound: n - before.freshness_ms.get(bound, 0) for bound, n in after.freshness_ms.items()}
    seen = after.verification
    stats = {node.region: node.stats() for node in nodes}
    return VigilReport(
        took_s,
        sent,
        sent / took_s,
        planted,
        unexpected,
        agrees,
        {f"p{q * 100:g}": quantile(ages, q) for q in (0.5, 0.9, 0.99, 0.999)},
        {age: nines(right, seen.changes_judged[age]) for age, right in seen.right_within_s.items()},
        {
            region: {name: stage.cpu_s / took_s for name, stage in of_region.stages.items()}
            for region, of_region in stats.items()
        },
        {region: of_region.verification for region, of_region in stats.items()},
        dict(after.outcomes),
    )
