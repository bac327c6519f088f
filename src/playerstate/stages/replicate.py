"""Replicate: one region's changes -> another region's store.

    changes -> [the region's own rows, the latest of each] -> arrivals -> changes there

A row is carried only outward from the region that writes it. This is what a DynamoDB global table does by itself; it is
a stage only where no managed service does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from playerstate.core.model import Key
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import read_row_head
from playerstate.ports.replication import Arrival, Arrivals
from playerstate.ports.store import Change


class Replicate:
    """The stage, from one region to one other. What was carried before, or in another order, does no harm."""

    def __init__(self, source: str, target: Arrivals) -> None:
        self._source = source
        self._target = target

    def handle(self, changes: Sequence[Change]) -> int:
        """Carry the latest of each row; returns how many were news. Raises `NotNow` if it could not be done."""
        arrivals = self.arrivals(changes)
        return self._target.receive(arrivals) if arrivals else 0

    def arrivals(self, changes: Sequence[Change]) -> list[Arrival]:
        """What there is to carry of them. Raises `InvariantViolated` for a row of the source that nobody wrote."""
        latest: dict[Key, bytes] = {change.key: change.new for change in changes if change.region == self._source}
        return [arrival for key, body in latest.items() for arrival in arrivals_of(key, {self._source: body})]


def arrivals_of(key: Key, rows: Mapping[str, bytes]) -> list[Arrival]:
    """Stored rows of a key, by region, as they arrive elsewhere."""
    return [Arrival(key, region, format_vector(read_row_head(body).vector), body) for region, body in rows.items()]
