"""How far project is behind, by the metric of its function: what is late as a whole is no disagreement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ministack import MiniStack
from playerstate.aws.ways import SLACK_MS, WINDOW_S, Lags, NoPositions
from playerstate.backends.memory.clock import ManualClock
from playerstate.core.findings import CACHE, GRAPH, copies_in
from playerstate.errors import Unavailable

NOW_MS = 1_700_000_000_000


class Metrics:
    """CloudWatch, with the maxima of `IteratorAge` by how many minutes ago they were."""

    def __init__(self, **minutes_ago: float) -> None:
        self.asked: dict[str, Any] = {}
        self._points = [
            {"Timestamp": datetime.fromtimestamp(NOW_MS / 1000 - int(minutes[1:]) * 60, UTC), "Maximum": age_ms}
            for minutes, age_ms in minutes_ago.items()
        ]

    def read(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.asked = parameters
        return {"Datapoints": self._points}


def lag_by(metrics: Any) -> Callable[[int], str]:
    lags = Lags(metrics, "game-project", "", ManualClock(NOW_MS))
    return lambda since: lags(CACHE, since)


def test_up_to_date() -> None:
    """A function that has just read fresh records has shown everything that is older."""
    metrics = Metrics(m1=400.0)
    assert lag_by(metrics)(NOW_MS - 60_000) == ""
    assert metrics.asked["Dimensions"] == [{"Name": "FunctionName", "Value": "game-project"}]
    assert (metrics.asked["EndTime"] - metrics.asked["StartTime"]).total_seconds() >= WINDOW_S


def test_behind() -> None:
    """What was made after what it reads now is on its way."""
    lag = lag_by(Metrics(m1=300_000.0))
    assert lag(NOW_MS - 200_000) == "project is behind"
    assert lag(NOW_MS - 300_000 - SLACK_MS - 1) == ""


def test_the_latest_minute_counts() -> None:
    """A function that has caught up is not behind any more."""
    assert lag_by(Metrics(m4=600_000.0, m1=100.0))(NOW_MS - 60_000) == ""


def test_a_quiet_region_is_not_behind() -> None:
    """Where nothing has changed lately there are no figures, and nothing is on its way."""
    assert lag_by(Metrics())(NOW_MS - 60_000) == ""


def test_a_change_that_was_read_just_now_may_not_be_written() -> None:
    """Within the slack it is on its way."""
    assert lag_by(Metrics(m1=0.0))(NOW_MS - 9_000) == "project is behind"


def test_without_names_nobody_is_asked() -> None:
    """A deployment that names neither goes by the time limits alone; so do other regions' copies."""
    metrics = Metrics(m1=1e9)
    assert Lags(cast("Any", metrics), "", "", ManualClock(NOW_MS))(GRAPH, NOW_MS) == ""
    assert Lags(cast("Any", metrics), "p", "https://q/1/l", ManualClock(NOW_MS))(copies_in("eu"), NOW_MS) == ""
    assert metrics.asked == {}


def test_the_graph_waits_for_links_queue() -> None:
    """Its oldest message is 200 s old: what was made since is on its way to the graph, and not to the cache."""
    metrics = Metrics(m1=200.0)  # for project these are ms
    lags = Lags(cast("Any", metrics), "game-project", "https://sqs.aws/1/game-link", ManualClock(NOW_MS))
    assert lags(GRAPH, NOW_MS - 100_000) == "link is behind"
    assert metrics.asked["Dimensions"] == [{"Name": "QueueName", "Value": "game-link"}]
    assert lags(GRAPH, NOW_MS - 200_000 - SLACK_MS - 1) == ""
    assert lags(CACHE, NOW_MS - 100_000) == ""


def test_nobody_knows() -> None:
    """Where CloudWatch does not answer nothing is held against the cache."""

    class Away:
        def read(self, *_: str, **__: Any) -> Any:
            raise Unavailable("no CloudWatch")

    assert lag_by(Away())(NOW_MS - 60_000) != ""


def test_against_an_emulator(ministack: MiniStack) -> None:
    """The calls are such as CloudWatch takes."""
    queue_url = f"https://sqs.aws/1/{ministack.name('link')}"
    lags = Lags(ministack.clients(), ministack.name("project"), queue_url, ManualClock(NOW_MS))
    assert lags(GRAPH, NOW_MS) == ""


def test_no_positions() -> None:
    """Everything counts as passed, and nothing is saved where it would be lost."""
    nowhere = NoPositions()
    assert (nowhere.head(), nowhere.load("project"), nowhere.read(0, 10)) == (0, 0, [])
    with pytest.raises(NotImplementedError):
        nowhere.save("project", 1)
