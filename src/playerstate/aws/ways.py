"""How far what follows the store has come, where streams have no positions that can be compared.

Lambda reads the table's stream, in many shards. What can be known is how old the records were that project has read
last: its `IteratorAge`; and of link's queue, for how long its oldest message has waited there.

A quiet region has no such figures: Lambda tells its own when it calls a function, SQS when a queue is in use. So none
means that nothing waits. Should project stand, the alarm on its age says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playerstate.backends.aws.clients import Clients
from playerstate.core.findings import CACHE, GRAPH
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


class Lags:
    """Whether what leads to a place is so far behind that this explains what is late there, by CloudWatch's metrics.

    The cache is behind with project, the graph with project and with link's queue. Nobody tells how far the replication
    between regions has come. `project` is the name of its function, "" where it has none; `link_queue_url` likewise.
    """

    def __init__(self, clients: Clients, project: str, link_queue_url: str, clock: Clock) -> None:
        self._clients = clients
        self._project = project
        self._link_queue = link_queue_url.rstrip("/").rpartition("/")[2]
        self._clock = clock

    def __call__(self, place: str, since: int) -> str:
        """Why a change of a time (ms) may not have come to a place yet; "" if it should have."""
        why = ""
        if self._project and place in (CACHE, GRAPH):
            function = ("FunctionName", self._project)
            why = self._explains("project", since, "AWS/Lambda", "IteratorAge", function, 1)
        if not why and self._link_queue and place == GRAPH:
            queue = ("QueueName", self._link_queue)
            why = self._explains("link", since, "AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 1000)
        return why

    def _explains(
        self, who: str, since: int, namespace: str, metric: str, dimension: tuple[str, str], unit_ms: int
    ) -> str:
        now = self._clock.now_ms()
        try:
            age = self._latest(now, namespace, metric, dimension)
        except NotNow:
            return f"nobody knows how far {who} is behind"
        return f"{who} is behind" if age is not None and now - age * unit_ms - SLACK_MS < since else ""

    def _latest(self, now: int, namespace: str, metric: str, dimension: tuple[str, str]) -> float | None:
        """The maximum of the latest minute that has one."""
        end = datetime.fromtimestamp(now / 1000, UTC) + timedelta(minutes=1)
        answer = self._clients.read(
            "cloudwatch",
            "get_metric_statistics",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
            StartTime=end - timedelta(seconds=WINDOW_S + 60),
            EndTime=end,
            Period=60,
            Statistics=["Maximum"],
        )
        points = answer["Datapoints"]
        if not points:
            return None
        return float(max(points, key=lambda point: point["Timestamp"])["Maximum"])
