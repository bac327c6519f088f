"""The consumer that only a region with others beside it has: what carries their rows here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from playerstate.core.answers import StageStats
from playerstate.core.model import Stage
from playerstate.errors import InvariantViolated, PlayerStateError
from playerstate.runtime.consumers import Report
from playerstate.runtime.replication import CARRIED_MAX, Link


class ReplicateConsumer:
    """Other regions' changes -> this region's store, over all links that lead here.

    `arrived` is called when rows have come. One link that fails does not hold up the others.
    """

    name: Stage = "replicate"
    linger_s = 0.0
    batch_max = CARRIED_MAX

    def __init__(self, links: Callable[[], Mapping[str, Link]], arrived: Callable[[], None]) -> None:
        self.stats = StageStats()
        self._links = links
        self._arrived = arrived

    def step(self) -> int:
        """Carry what is due on every link."""
        carried = 0
        for link in self._links().values():
            try:
                carried += link.carry()
            except InvariantViolated:
                raise  # of this region's own store
            except PlayerStateError as exc:
                self.stats.failures += 1
                self.stats.last_error = f"{link.source}: {exc}"
        if carried:
            self.stats.processed += carried
            self._arrived()
        return carried

    def tell(self, report: Report) -> None:
        """How much waits before each link."""
        report.links = {link.source: link.waits for link in self._links().values()}
