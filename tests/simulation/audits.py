"""The audits of regions, as hand-written causes would have been recorded: a write each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from playerstate.core.model import Transition
from playerstate.simulation.history import Committed


def audits_of(recorded: Iterable[Committed]) -> dict[str, list[Transition]]:
    """By region, a transition for each cause; nobody has heard of another region."""
    audits: defaultdict[str, list[Transition]] = defaultdict(list)
    null = msgspec.Raw(b"null")
    for region, key, cause, epoch, _ in recorded:
        before, version = f"{region}:{cause.n - 1}" if cause.n > 1 else "", f"{region}:{cause.n}"
        told = (*key, region, cause.n, cause.n, cause.accepted_at, before, version, null, null, [cause], [], epoch)
        audits[region].append(Transition(*told))
    return dict(audits)
