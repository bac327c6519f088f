"""How many views are written at once, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.core.model import View

BATCH_VIEWS_MAX = 500
BATCH_BYTES_MAX = 4_000_000
"""What one script takes at once: while it runs, nobody else is served."""


def batches(views: Sequence[View]) -> list[Sequence[View]]:
    """Views in their order, in groups that one script takes at once. A view above the limit goes alone."""
    sizes = [len(view.value) for view in views]
    if 0 < len(views) <= BATCH_VIEWS_MAX and sum(sizes) <= BATCH_BYTES_MAX:
        return [views]
    groups: list[Sequence[View]] = []
    begin, total = 0, 0
    for at, size in enumerate(sizes):
        if at > begin and (at - begin == BATCH_VIEWS_MAX or total + size > BATCH_BYTES_MAX):
            groups.append(views[begin:at])
            begin, total = at, 0
        total += size
    if begin < len(views):
        groups.append(views[begin:])
    return groups


def places_by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """At which places each name stands."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return places
