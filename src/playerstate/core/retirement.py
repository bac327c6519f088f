"""What is left of a region that is gone, and who sees to it: pure.

A region that is gone writes no more, and nobody can ask it. Two things of it must not be lost:

- **Its rights.** One region, its *heir*, takes over what it holds: a step of the heir's, for its part changes.
- **Its rows.** They reached some regions and perhaps not others, and it carries them no further. What its row contains
  and the row of no living region does, a living region that has it joins into its own, which then goes everywhere.

Both follow from the rows that are there. Done again they do nothing, unless more of its rows have come meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from playerstate.core.model import Cause, Status
from playerstate.core.replica import Replica
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES, Escrowed
from playerstate.core.version_vector import covers

RETIRER = "@retire"
"""The producer of the causes of take-overs. It numbers them by their steps, and no row remembers it."""


def heir_of(region: str, retired: Mapping[str, str]) -> str:
    """Who sees to what a region left, which may be its heir's heir. `retired` maps regions that are gone to heirs.

    Of one that is not gone, itself; heirs that lead back to one another have none.
    """
    for _ in range(len(retired) + 1):
        if region not in retired:
            break
        region = retired[region]
    return region


def take_over(replica: Replica, gone: str, now: int) -> int:
    """Have the replica's region take over all rights of a region that is gone, as far as is known; how many.

    A step, if there are any; `now` is in ms.
    """
    data_type = DATA_TYPES[replica.spec.type]
    if not isinstance(data_type, Escrowed):
        return 0
    state, effects = data_type.take_over(replica.state, replica.region, gone, replica.spec)
    if effects:
        n = replica.next_step
        replica.take_step(state, Cause(n, RETIRER, n, now, now, effects, Status.APPLIED))
    return sum(held for effect in effects for held in (effect.deltas or {}).values())


def left_behind(rows: Mapping[str, Row[Any]], retired: Collection[str]) -> bool:
    """Whether the row of a region that is gone contains what the row of no living region does."""
    living = [row.vector for region, row in rows.items() if region not in retired]
    return any(
        not any(covers(vector, row.vector) for vector in living) for region, row in rows.items() if region in retired
    )


def overspent(state: Any, spec: KeySpec) -> dict[str, int]:
    """By how much a key's value is below its minimum, by item ("" where there are none); only what is.

    That can be only where a region was retired that had spent what its heir did not know of, and it is a finding.
    """
    data_type = DATA_TYPES[spec.type]
    return data_type.overspent(state, spec) if isinstance(data_type, Escrowed) else {}
