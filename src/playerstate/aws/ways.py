"""How far what follows the store has come, where streams have no positions that can be compared.

Lambda reads the table's stream, in many shards. What can be known is how old the records were that project has read
last: its `IteratorAge`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playerstate.backends.aws.clients import Clients
from playerstate.errors import NotNow
from playerstate.ports.clock import Clock
from playerstate.ports.store import Change

WINDOW_S = 300
SLACK_MS = 10_000


class NoPositions:
    """Changes and checkpoints of which nothing is told: everything counts as passed, and time limits apply."""

    def read(self, after: int, limit: int) -> list[Change]:
        """No changes."""
        return []

    def head(self) -> int:
        """No position."""
        return 0

    def trim(self, up_to: int) -> int:
        """Nothing to delete."""
        return 0

    def load(self, consumer: str) -> int:
        """No position."""
        return 0

    def save(self, consumer: str, position: int) -> None:
        """Refuse: what is saved here would be lost."""
        raise NotImplementedError("there are no positions")


class ProjectLag:
    """Whether project is so far behind that this explains what is late, by the metrics of its function."""

    def __init__(self, clients: Clients, function: str, clock: Clock) -> None:
        self._clients = clients
        self._function = function
        self._clock = clock

    def __call__(self, since: int) -> str:
        """Why a change of a time (ms) may not have been shown yet; "" if it should have been."""
        now = self._clock.now_ms()
        try:
            age_ms = self._iterator_age_ms(now)
        except NotNow:
            return "nobody knows how far project is behind"
        if age_ms is None:
            return "project has not run for five minutes"
        return "project is behind" if now - age_ms - SLACK_MS < since else ""

    def _iterator_age_ms(self, now: int) -> float | None:
        """The age of the oldest record that project has read lately; None if it has read none."""
        end = datetime.fromtimestamp(now / 1000, UTC) + timedelta(minutes=1)
        answer = self._clients.read(
            "cloudwatch",
            "get_metric_statistics",
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": self._function}],
            StartTime=end - timedelta(seconds=WINDOW_S + 60),
            EndTime=end,
            Period=60,
            Statistics=["Maximum"],
        )
        points = answer["Datapoints"]
        if not points:
            return None
        return float(max(points, key=lambda point: point["Timestamp"])["Maximum"])
