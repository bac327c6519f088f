"""What is logged: which update it was, and nothing of players; and only what the documentation tells of."""

from __future__ import annotations

import ast
import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from docs.markdown import ROOT, read, section, table_rows
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.client import find_node
from playerstate.core.answers import Accepted
from playerstate.core.model import Op, Update
from playerstate.core.types.flag import Flag
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import InvalidUpdate, PlayerStateError
from playerstate.node import Node, Options
from playerstate.ports.stream import NewRecord
from playerstate.runtime import alarming, logs
from playerstate.runtime.logs import LogStyle, configure_logging
from playerstate.stages.project import Project
from playerstate.workload import life
from playerstate.workload.life import Life
from waiting import wait_until

LIMIT_S = 20.0
SECRET = "hush"
"""It is in every player's id, every item's name and every text that the load sends."""
AMOUNT = 987_654_321
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    before = logs._current
    yield
    structlog.reset_defaults()
    logs._current = before


@pytest.fixture
def secret_life(monkeypatch: pytest.MonkeyPatch) -> Iterator[Update]:
    """A life-like load in which everything that is a player's has the secret word in it."""
    for name in ("ITEMS", "ZONES", "TITLES", "SETTINGS"):
        monkeypatch.setattr(life, name, tuple(f"{SECRET}-{word}" for word in getattr(life, name)))
    texts = map(msgspec.json.encode, Life(1, players=60, loadout_bytes=200))
    secret = (text.replace(b'"player-', b'"hush-').replace(b'"guild-', b'"hush-guild-') for text in texts)
    return (msgspec.json.decode(text, type=Update) for text in secret)


def cruel_day(folder: Path, load: Iterator[Update], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node under load, with faults whose words quote what players have."""
    monkeypatch.setattr(alarming, "LOOK_EVERY_S", 0.0)
    player = f"{SECRET}-00001"
    sync, faults = LadybugGraph.sync, [RuntimeError(f"{player} has {AMOUNT}")]

    def failing_sync(self: LadybugGraph, batch: Any) -> int:
        if faults:
            raise faults.pop(0)
        return sync(self, batch)

    def failing_flag(*_: object) -> Any:
        raise KeyError(f"{player} {AMOUNT}")

    def failing_project(*_: object) -> Any:
        monkeypatch.setattr(Project, "handle", handle)
        raise InvalidUpdate(f"Expected a whole number, got {player} {AMOUNT}", code="bad_number")

    handle = Project.handle
    monkeypatch.setattr(Project, "handle", failing_project)
    monkeypatch.setattr(LadybugGraph, "sync", failing_sync)
    monkeypatch.setattr(Flag, "apply", failing_flag)
    with Node(folder, options=Options(workers="thread")) as node:
        answers = node.service.send_many(list(islice(load, 400)))
        assert all(isinstance(answer, Accepted) for answer in answers)
        node.service.send_many([
            {"ops": [{"player_id": player, "state_key": "gold", "op": "add", "n": f"{SECRET} {AMOUNT}"}]},
            {"ops": [{"player_id": player, "state_key": SECRET, "op": "add", "n": 1}]},
        ])  # fmt: skip
        now = time.time_ns() // 1_000_000
        wrong = Update([Op(player, SECRET, "add", n=AMOUNT)], "game-1", 7, now)
        garbage = f"{SECRET} {AMOUNT}".encode()
        node.parts.stream.append([NewRecord(player, garbage), NewRecord(player, encode_record(now, [garbage]))])
        node.parts.stream.append([NewRecord(player, encode_record(now, [encode_update(wrong)]))])
        node.parts.queues["audit"].send([garbage])
        os.kill(int((folder / "valkey" / "valkey.pid").read_text()), signal.SIGKILL)
        monkeypatch.setattr(node.service, "neighbours", failing_flag)
        with find_node(folder) or pytest.fail("the node does not answer") as remote:
            with pytest.raises(PlayerStateError, match="KeyError"):
                remote.neighbours(player, "FRIEND")
            with pytest.raises(InvalidUpdate):
                remote.get(player, SECRET)
        assert node.service.drain(timeout_s=LIMIT_S)
        wait_until(lambda: {"dead_letters", "cache_restarted"} <= {a.name for a in node.service.alarms()}, "alarms")


@pytest.mark.parametrize("style", ["json", "lines"])
def test_nothing_of_players_is_logged_above_debug(
    tmp_path: Path, style: str, secret_life: Iterator[Update], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """No id, no value, no item, in no field, message or traceback; what happened is there all the same."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: style == "lines", raising=False)
    configure_logging(LogStyle("info"))
    cruel_day(tmp_path / "data", secret_life, monkeypatch)
    told = capsys.readouterr().err
    for event in (
        "updates could not be judged",
        "updates became dead letters",
        "a stage met a fault; its messages are taken one by one",
        "a stage tries again",
        "a call failed",
        "the cache had died and was started again",
        "an alarm fires",
    ):
        assert event in told, event
    assert "InvalidUpdate (bad_number)" in told, "an error of a client's input is told by its code"
    assert "KeyError" in told, "a traceback says what kind of fault it was"
    assert "failing_flag" in told, "and where"
    shown = [line for line in told.splitlines() if SECRET in line or str(AMOUNT) in line or f"{AMOUNT:,}" in line]
    assert shown == []


def test_every_update_is_logged_at_debug(
    tmp_path: Path, secret_life: Iterator[Update], capsys: pytest.CaptureFixture[str]
) -> None:
    """With its identity in fields of their own, once accepted and once processed; nothing of that at INFO."""
    sent = list(islice(secret_life, 50))
    for level, lines in (("info", 0), ("debug", 50)):
        configure_logging(LogStyle(level, as_json=True))
        with Node(tmp_path / level, options=Options(workers="thread")) as node:
            node.service.send_many(sent)
            node.service.send_many([b"{"])
            assert node.service.drain(timeout_s=LIMIT_S)
        told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert all(line["level"] == "debug" for line in told if SECRET in str(line))
        for event in ("an update was accepted", "an update was processed"):
            found = {(line["producer"], line["sequence"], line["player_id"], line["state_key"]) for line in told
                     if line["event"] == event}  # fmt: skip
            assert found == ({tuple(update.identity) for update in sent} if lines else set()), (level, event)
        assert len([line for line in told if line["event"] == "an update was rejected"]) == (1 if lines else 0)


def logged() -> list[tuple[str, str, set[str]]]:
    """Every call of a logger in the source: its level, its event, and the names of its fields."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
                event = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
                fields = {keyword.arg or "**" for keyword in node.keywords}
                found.append((node.func.attr, str(event), fields))
    return found


def test_every_event_is_told_of() -> None:
    """The table of logs has every event of the code with its level, and no other; an event is a constant text."""
    levels: dict[str, set[str]] = {}
    for level, event, _ in logged():
        levels.setdefault(event, set()).add("error" if level == "exception" else level)
    told = {
        event.strip("` "): {row[1]}
        for row in table_rows(section(read("docs/operations.md"), "Logs"))
        for event in row[0].split("`, `")
    }
    assert told == levels


def test_fields_above_debug_are_none_of_players() -> None:
    """No field could hold a player's id, key or value; which update it was, producer and sequence say."""
    for level, event, fields in logged():
        assert "**" not in fields, event
        if level != "debug":
            assert not fields & {"player_id", "player", "key", "item", "items", "value_before", "body", "reason_given"}
        elif event.startswith("an update was ") and event != "an update was rejected":
            assert {"producer", "sequence"} <= fields, event
