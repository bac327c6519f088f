"""Alarms of a running node: what goes wrong is seen by its commands and by who scrapes it, until it is put right."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.cli.main import run
from playerstate.client import find_node
from playerstate.core.model import Op, Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import Unavailable
from playerstate.node import Node, Options
from playerstate.ports.stream import NewRecord
from playerstate.runtime import alarming
from playerstate.runtime.metrics_server import MetricsServer
from playerstate.settings import FILE
from waiting import wait_until

LIMIT_S = 20.0


class Watched(NamedTuple):
    """A node with its endpoint."""

    node: Node
    folder: Path
    server: MetricsServer

    def scraped(self) -> set[str]:
        """The alarms that Prometheus is told of."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=LIMIT_S) as answer:
            lines = answer.read().decode().splitlines()
        return {line.partition('alarm="')[2].partition('"')[0] for line in lines if "alarm_firing{" in line}

    def served(self) -> list[Any]:
        """The alarms at `/alarms`."""
        with urllib.request.urlopen(f"{self.server.url}/alarms", timeout=LIMIT_S) as answer:
            (region,) = json.loads(answer.read())["regions"]
        return region["alarms"]  # type: ignore[no-any-return]

    def command(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[Any]]:
        """What `playerstate alarms --json` ends with, and says."""
        capsys.readouterr()
        code = run(["alarms", "--data", str(self.folder), "--json"])
        return code, json.loads(capsys.readouterr().out)["alarms"]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """One that looks often."""
    monkeypatch.setattr(alarming, "LOOK_EVERY_S", 0.0)
    usage = shutil.disk_usage(tmp_path)._replace(total=10**12, free=5 * 10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    folder = tmp_path / "data"
    with Node(folder, options=Options(workers="thread")) as node, MetricsServer(0, [node]) as server:
        yield Watched(node, folder, server)


def names(watched: Watched) -> set[str]:
    return {alarm.name for alarm in watched.node.service.alarms()}


def put_a_letter(node: Node) -> None:
    """An update that accept would not have let through, and takes when it is sent again."""
    now = time.time_ns() // 1_000_000
    update = Update([Op("ada", "gold", "add", n=5)], "game-1", 1, now + 7_200_000)
    node.parts.stream.append([NewRecord("ada", encode_record(now, [encode_update(update)]))])


def test_a_dead_letter(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says so with exit code 1, the endpoint serves it, and it ends when the letter has been settled."""
    assert watched.command(capsys) == (0, [])
    put_a_letter(watched.node)
    wait_until(lambda: names(watched) == {"dead_letters"}, "it fires")
    code, (alarm,) = watched.command(capsys)
    assert (code, alarm["name"], alarm["value"]) == (1, "dead_letters", 1.0)
    assert [told["name"] for told in watched.served()] == ["dead_letters"]
    assert watched.scraped() == {"dead_letters"}
    assert run(["alarms", "--data", str(watched.folder)]) == 1
    assert "dead-letters list" in capsys.readouterr().out.replace("\n", " ")
    (letter,) = watched.node.service.dead_letters()
    watched.node.service.send_again(letter.letter_id)
    wait_until(lambda: not names(watched), "it ends")
    assert watched.command(capsys) == (0, [])
    assert (watched.served(), watched.scraped()) == ([], set())


def test_a_disk_that_is_nearly_full(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Critical, before it is full; room ends it."""
    well = shutil.disk_usage(watched.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: well._replace(free=10**8))
    wait_until(lambda: names(watched) == {"disk_share", "disk_bytes"}, "they fire")
    code, alarms = watched.command(capsys)
    assert (code, {alarm["severity"] for alarm in alarms}) == (1, {"critical"})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: well)
    wait_until(lambda: not names(watched), "they end")


def test_a_stage_that_is_stuck(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A graph that does not answer is found out, by what waits for it; when it answers again, that ends."""
    (watched.folder / FILE).write_text("[alarms]\nstage_stuck_s = 0.3\n", "utf-8")
    sync = LadybugGraph.sync

    def away(*_: object) -> int:
        raise Unavailable("the graph is away")

    monkeypatch.setattr(LadybugGraph, "sync", away)
    watched.node.service.send({"ops": [{"player_id": "ada", "state_key": "friends", "op": "add", "elements": ["bob"]}]})
    wait_until(lambda: names(watched) == {"stage_stuck"}, "it fires")
    code, (alarm,) = watched.command(capsys)
    assert (code, alarm["subject"]) == (1, "link")
    assert watched.scraped() == {"stage_stuck"}
    assert run(["status", "--data", str(watched.folder)]) == 0
    screen = capsys.readouterr().out
    assert "stage_stuck" in screen
    assert "the graph is away" in screen
    monkeypatch.setattr(LadybugGraph, "sync", sync)
    watched.node._parts.queues["link"].release()  # at once, and not when the message comes again by itself
    wait_until(lambda: "stage_stuck" not in names(watched), "it ends")
    assert watched.command(capsys) == (0, [])


def test_thresholds_are_read_while_it_runs(watched: Watched) -> None:
    """A node that runs is told by its settings what is worth an alarm."""
    put_a_letter(watched.node)
    wait_until(lambda: names(watched) == {"dead_letters"}, "it fires")
    (watched.folder / FILE).write_text("[alarms]\ndead_letters = 2\n", "utf-8")
    wait_until(lambda: not names(watched), "one is not enough any more")


def test_a_cache_that_died(watched: Watched) -> None:
    """It is back before anybody looks, so it is told for a while."""
    node = find_node(watched.folder)
    assert node is not None
    pid = int((watched.folder / "valkey" / "valkey.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: names(watched) == {"cache_restarted"}, "it fires")
    assert [alarm.name for alarm in node.alarms()] == ["cache_restarted"]
    assert node.stats().process.cache_restarts == 1
    node.close()
