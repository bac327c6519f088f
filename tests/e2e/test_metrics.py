"""`serve --metrics-port`, `metrics` and `status`, as the real program."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from e2e.program import LIMIT_S, Program, Served, run
from playerstate.client import find_node
from playerstate.core.answers import Stats
from playerstate.metrics import METRICS
from playerstate.settings import FILE


def announced(program: Program, lines: int) -> list[Any]:
    """What `serve --json` says when it takes calls."""
    assert program.process.stdout is not None
    return [json.loads(program.process.stdout.readline()) for _ in range(lines)]


def value(text: str, name: str, **labels: str) -> float:
    """The one sample with these labels among others."""
    (found,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


def all_told(stats: Stats) -> bool:
    """Whether apply's worker has told of four updates, and the one that follows it too."""
    return sum(stats.freshness_ms.values()) >= 4 and sum(stats.outcomes.values()) >= 4


def test_a_node_with_its_endpoint(tmp_path: Path) -> None:
    """It says where it is; what is scraped, what `metrics` prints and what was sent agree."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("[alarms]\ndisk_free_share = 0\ndisk_free_bytes = 0\n", "utf-8")
    served = Served(tmp_path / "data", "--metrics-port", "0", "--json")
    try:
        (said,) = announced(served, 1)
        for n in range(3):
            assert served.run("send", "ada", "gold", "add", str(n + 1)).code == 0
        assert served.run("send", "ada", "gold", "subtract", "99").code == 1
        assert served.node.drain(timeout_s=LIMIT_S)
        deadline = time.monotonic() + LIMIT_S
        while not all_told(served.node.stats()):  # workers report ten times a second, each for itself
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with urllib.request.urlopen(said["metrics"], timeout=LIMIT_S) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            scraped = answer.read().decode()
        for text in (scraped, served.run("metrics").out):
            assert value(text, "playerstate_updates_accepted_total", region="local") == 4
            assert value(text, "playerstate_updates_total", outcome="applied") == 3
            assert value(text, "playerstate_updates_total", outcome="refused", reason="insufficient") == 1
            assert value(text, "playerstate_freshness_seconds_count") == 4
            assert value(text, "playerstate_stage_lag", stage="audit") == 0
        told = served.run("metrics", "--json").document()
        assert {sample["name"] for sample in told["metrics"]} <= {metric.name for metric in METRICS}
        shown = served.run("status")
        assert (shown.code, shown.err) == (0, "")
        for words in ("No alarm fires", "refused:insufficient", "project", "right in the cache", "disk free"):
            assert words in shown.out, words
        assert served.run("status", "--json").document()["outcomes"] == {"applied": 3, "refused:insufficient": 1}
        assert served.run("alarms").out == "No alarm fires.\n"
        taken = run("serve", "--data", str(tmp_path / "other"), "--metrics-port", said["metrics"].split(":")[2][:-8])
        assert (taken.code, taken.out) == (1, "")
        assert "Metrics cannot be served" in taken.err
        assert served.end(signal.SIGTERM) == 0
    finally:
        served.abandon()


def test_several_regions_have_one_endpoint(tmp_path: Path) -> None:
    """With a label that tells them apart."""
    data = tmp_path / "world"
    program = Program(
        "serve", "--data", str(data), "--regions", "eu,us", "--metrics-port", "0", "--json", log=tmp_path / "log"
    )
    try:
        first, second = announced(program, 2)
        assert first["metrics"] == second["metrics"]
        assert run("send", "ada", "gold", "add", "5", "--data", str(data / "us")).code == 0
        text, deadline = "", time.monotonic() + LIMIT_S
        while 'playerstate_way_lag{region="us",source="eu"}' not in text:  # its worker has to have told of it
            assert time.monotonic() < deadline
            with urllib.request.urlopen(first["metrics"], timeout=LIMIT_S) as answer:
                text = answer.read().decode()
        assert value(text, "playerstate_updates_accepted_total", region="us") == 1
        assert value(text, "playerstate_updates_accepted_total", region="eu") == 0
        assert program.end(signal.SIGTERM) == 0
    finally:
        program.abandon()


def test_a_node_that_does_not_run(tmp_path: Path) -> None:
    """Has nothing to tell: one that was opened for the question would know nothing. Nothing is made by asking."""
    for command in ("status", "alarms", "metrics"):
        asked = run(command, "--data", str(tmp_path / "data"))
        assert (asked.code, asked.out) == (3, "")
    assert not (tmp_path / "data").exists()
    assert run("send", "ada", "gold", "add", "5", "--data", str(tmp_path / "data")).code == 0
    assert "No node runs" in run("alarms", "--data", str(tmp_path / "data")).err
    assert find_node(tmp_path / "data") is None


def test_status_is_watched(tmp_path: Path) -> None:
    """A line a second until Ctrl-C, which is a way to end it."""
    served = Served(tmp_path / "data")
    watching = Program("status", "--watch", "--json", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    try:
        told = announced(watching, 2)
        assert [one["region"] for one in told] == ["local", "local"]
        assert watching.end(signal.SIGINT) == 0
    finally:
        watching.abandon()
        served.abandon()
