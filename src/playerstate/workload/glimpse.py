"""What can be seen of a node while a load runs, and the rates between two looks."""

from __future__ import annotations

import msgspec

from playerstate.core.answers import Stats
from playerstate.core.model import Json
from playerstate.runtime.freshness import quantile


class Glimpse(msgspec.Struct, frozen=True):
    """One look. `samples` are a few players' values as the cache has them."""

    elapsed_s: float
    sent: int
    repeats: int
    stats: Stats
    samples: dict[str, dict[str, Json]]


class Rates(msgspec.Struct, frozen=True):
    """Updates accepted and applied a second, changed rows cached a second, and the freshness of what was cached."""

    accepted_per_s: float
    applied_per_s: float
    cached_per_s: float
    freshness_ms_p50: float | None
    freshness_ms_p99: float | None


def rates(before: Glimpse, after: Glimpse) -> Rates:
    """What happened between two looks."""
    seconds = max(after.elapsed_s - before.elapsed_s, 0.001)
    ages = {bound: count - before.stats.freshness_ms.get(bound, 0) for bound, count in after.stats.freshness_ms.items()}
    return Rates(
        (after.sent + after.repeats - before.sent - before.repeats) / seconds,
        (_processed(after, "apply") - _processed(before, "apply")) / seconds,
        (_processed(after, "project") - _processed(before, "project")) / seconds,
        quantile(ages, 0.5),
        quantile(ages, 0.99),
    )


def _processed(glimpse: Glimpse, stage: str) -> int:
    return glimpse.stats.stages[stage].processed
