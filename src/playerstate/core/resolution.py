"""What a region does about a key whose rows differ between regions, beside applying updates: pure.

Four things are done, each only as long as there is cause for it, so that regions that do them all come to rest:

- **Inheriting.** The heir of a region that is gone takes over its rights: a step too (see `retirement`).
- **Giving.** A region that holds rights which others want gives them: a step of its own, for its part changes.
- **Joining.** Of rows that are concurrent, one region makes one row that contains them all, so that readers need not
  join at every read, and what was concurrent is on record. It is no step: regions that join each other's rows end with
  equal vectors. One region does it, the first by name of those that have a row.
- **Following.** A row that was left behind by an erasure joins the higher epoch, and one that lacks what only a region
  has said that is gone joins that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from playerstate.core.model import Cause, Side, Status
from playerstate.core.replica import Replica
from playerstate.core.retirement import heir_of, left_behind, take_over
from playerstate.core.row import Row, join_rows
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES, Escrowed
from playerstate.core.version_vector import covers, format_vector
from playerstate.core.views import value_json

RESOLVER = "@resolve"
"""The producer of the causes of gifts. It numbers them by their steps, and no row remembers it: they are no updates."""

NOBODY: Mapping[str, str] = {}
"""No region is retired."""

SIDES_BYTES_MAX = 32_768
"""How much of the values that a join had before it a row keeps, until its next write."""


def concurrent(rows: Iterable[Row[Any]]) -> bool:
    """Whether no row contains all the others."""
    vectors = [row.vector for row in rows]
    return bool(vectors) and not any(all(covers(one, other) for other in vectors) for one in vectors)


def must_write(replica: Replica, rows: Mapping[str, Row[Any]], now: int, retired: Mapping[str, str] = NOBODY) -> bool:
    """Whether the region has to write its row; gifts and take-overs are made on the way, as steps of the replica.

    `rows` are the visible rows, of which the replica is the join; `now` (ms) is when that is. `retired` maps the
    regions that are gone to their heirs.
    """
    region = replica.region
    if region in retired:
        return False
    inherit(replica, now, retired)
    _give(replica, now, retired)
    return bool(replica.because) or _must_follow(rows, region, retired) or must_join(rows, region, retired)


def inherit(replica: Replica, now: int, retired: Mapping[str, str]) -> None:
    """Have the region take over what is known of the rights of those whose heir it is, as steps of the replica."""
    for gone in sorted(retired):
        if heir_of(gone, retired) == replica.region:
            take_over(replica, gone, now)


def must_join(rows: Mapping[str, Row[Any]], region: str, retired: Mapping[str, str] = NOBODY) -> bool:
    """Whether it is this region that has to make one row of concurrent ones."""
    return concurrent(rows.values()) and region == min(rows.keys() - retired.keys(), default=None)


def calls_for(rows: Mapping[str, Row[Any]], region: str, spec: KeySpec, retired: Mapping[str, str] = NOBODY) -> bool:
    """Whether the rows give the region something to do, as `must_write` will decide when it comes to that."""
    if len(rows) < 2 and not retired:
        return False
    if _must_follow(rows, region, retired) or must_join(rows, region, retired):
        return True
    data_type = DATA_TYPES[spec.type]
    if not isinstance(data_type, Escrowed):
        return False
    state = join_rows(rows.values(), data_type).state
    left = [gone for gone in retired if heir_of(gone, retired) == region]
    if retired and data_type.overspent(state, spec):
        return True  # there is nothing to be done about it, but it has to be told
    return bool(data_type.give(state, region, spec, retired)[1]) or any(
        data_type.take_over(state, region, gone, spec)[1] for gone in left
    )


def sides_of(rows: Mapping[str, Row[Any]], spec: KeySpec) -> list[Side]:
    """What each region has, for the record of a join; without the values where they are too large to keep, and without
    those from before an erasure.
    """
    epoch = max([row.epoch for row in rows.values()], default=0)
    sides = [
        Side(region, format_vector(row.vector), value_json(row.state, spec).decode() if row.epoch == epoch else "")
        for region, row in sorted(rows.items())
    ]
    if sum([len(side.value) for side in sides]) > SIDES_BYTES_MAX:
        return [Side(side.region, side.version, "") for side in sides]
    return sides


def _must_follow(rows: Mapping[str, Row[Any]], region: str, retired: Mapping[str, str]) -> bool:
    """Whether the region's row is from before an erasure, or lacks what only a region that is gone has said."""
    own = rows.get(region)
    if own is not None and any(row.epoch > own.epoch for row in rows.values()):
        return True
    return left_behind(rows, retired)


def _give(replica: Replica, now: int, retired: Collection[str]) -> None:
    data_type = DATA_TYPES[replica.spec.type]
    if not isinstance(data_type, Escrowed):
        return
    state, effects = data_type.give(replica.state, replica.region, replica.spec, retired)
    if effects:
        n = replica.next_step
        replica.take_step(state, Cause(n, RESOLVER, n, now, now, effects, Status.APPLIED))
