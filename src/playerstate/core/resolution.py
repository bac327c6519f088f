"""What a region does about a key whose rows differ between regions, beside applying updates: pure.

Four things are done, each only as long as there is cause for it, so that regions that do them all come to rest:

- **Giving.** A region that holds rights which others want gives them: a step of its own, for its part changes.
- **Joining.** Of rows that are concurrent, one region makes one row that contains them all, so that readers need not
  join at every read, and what was concurrent is on record. It is no step: regions that join each other's rows end with
  equal vectors. One region does it, the first by name of those that have a row.
- **Following.** A row that was left behind by an erasure joins the higher epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from playerstate.core.model import Cause, Status
from playerstate.core.replica import Replica
from playerstate.core.retirement import heir_of, left_behind, take_over
from playerstate.core.row import Row
from playerstate.core.types import DATA_TYPES, Escrowed
from playerstate.core.version_vector import covers

RESOLVER = "@resolve"
"""The producer of the causes of gifts. It numbers them by their steps, and no row remembers it: they are no updates."""

_NOBODY: Mapping[str, str] = {}


def concurrent(rows: Iterable[Row[Any]]) -> bool:
    """Whether no row contains all the others."""
    vectors = [row.vector for row in rows]
    return bool(vectors) and not any(all(covers(one, other) for other in vectors) for one in vectors)


def must_write(replica: Replica, rows: Mapping[str, Row[Any]], now: int, retired: Mapping[str, str] = _NOBODY) -> bool:
    """Whether the region has to write its row; gifts and take-overs are made on the way, as steps of the replica.

    `rows` are the visible rows, of which the replica is the join; `now` (ms) is when that is. `retired` maps the
    regions that are gone to their heirs.
    """
    region = replica.region
    if region in retired:
        return False
    taken = [take_over(replica, gone, now) for gone in sorted(retired) if heir_of(gone, retired) == region]
    if _give(replica, now, retired) or any(taken):
        return True
    own = rows.get(region)
    if own is not None and any(row.epoch > own.epoch for row in rows.values()):
        return True
    if left_behind(rows, retired):
        return True
    return concurrent(rows.values()) and region == min(rows.keys() - retired.keys(), default=None)


def _give(replica: Replica, now: int, retired: Collection[str]) -> bool:
    data_type = DATA_TYPES[replica.spec.type]
    if not isinstance(data_type, Escrowed):
        return False
    state, effects = data_type.give(replica.state, replica.region, replica.spec, retired)
    if effects:
        n = replica.next_step
        replica.take_step(state, Cause(n, RESOLVER, n, now, now, effects, Status.APPLIED))
    return bool(effects)
