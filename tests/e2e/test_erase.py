"""Erasing and exporting a player, with a node on a folder, over its socket, and as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import playerstate
from e2e.program import LIMIT_S, Served
from playerstate.core.answers import Accepted, Rejected
from playerstate.core.model import Effect, Outcome, Status
from playerstate.errors import InvalidUpdate
from playerstate.node import Node, Options

THREADS = Options(workers="thread")
REASON = "ticket 4711"


def update(player_id: str, state_key: str, op: str, **rest: object) -> dict[str, object]:
    return {"ops": [{"player_id": player_id, "state_key": state_key, "op": op, **rest}]}


def test_an_erased_player_stays_erased(tmp_path: Path) -> None:
    """Over the socket: values, edges and history go, an old update sent again does nothing, also after a restart."""
    folder = tmp_path / "data"
    reward = {**update("ada", "gold", "add", n=5), "producer": "shop", "sequence": 1}
    with Node(folder, options=THREADS) as node, playerstate.open(folder) as remote:
        reward["sent_at"] = node._clock.now_ms()
        friends = update("ada", "friends", "add", elements=["bob"])
        guild = update("ada", "guild", "set", value="red")
        answers = remote.send_many([reward, friends, guild, update("eve", "friends", "add", elements=["ada"])])
        assert all(isinstance(answer, Accepted) for answer in answers)
        assert remote.drain(timeout_s=LIMIT_S)
        exported = remote.export("ada")
        assert exported.edges_out == {"FRIEND": ["bob"], "MEMBER_OF": ["red"]}
        assert exported.edges_in == {"FRIEND": ["eve"], "MEMBER_OF": []}
        assert {key: one.view.decoded() for key, one in exported.keys.items()} == {
            "gold": 5, "friends": ["bob"], "guild": "red",
        }  # fmt: skip
        assert exported.history == node.service.history("ada").transitions
        with pytest.raises(InvalidUpdate, match="reason"):
            remote.erase("ada", reason="")
        erased = remote.erase("ada", reason=REASON)
        assert {remote.outcome(answer.identity, wait_s=LIMIT_S) for answer in erased} == {Outcome(Status.APPLIED)}
        assert remote.drain(timeout_s=LIMIT_S)
        assert {view.version for view in remote.get_player("ada").values()} == {"local:1", "local:2"}
        assert remote.get("ada", "gold").decoded() == 0
        assert remote.neighbours("ada", "FRIEND") == []
        assert remote.neighbours("eve", "FRIEND") == ["ada"]
        history = remote.history("ada").transitions
        told = [effect for t in history for cause in t.causes for effect in cause.effects]
        assert told == [Effect("erase", field=REASON)] * len(remote.schema.keys)
    with Node(folder, options=THREADS) as node:
        node.service.send(reward)
        assert node.service.drain(timeout_s=LIMIT_S)
        assert node.service.get("ada", "gold").decoded() == 0
        answer = node.service.send({**update("ada", "gold", "add", n=2), "producer": "shop", "sequence": 2})
        assert isinstance(answer, Accepted)
        assert node.service.outcome(answer.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
        assert node.service.drain(timeout_s=LIMIT_S)
        assert node.service.get("ada", "gold").decoded() == 2
        refused = node.service.send(update("ada", "gold", "erase", value="x"))
        assert isinstance(refused, Rejected)
        assert refused.code == "not_an_update"


def test_erased_by_command(served: Served, tmp_path: Path) -> None:
    """With worker processes: exported first, erased without being asked, and the history tells why."""
    assert served.run("send", "ada", "inventory", "add", "sword", "2").code == 0
    assert served.node.drain(timeout_s=LIMIT_S)
    file = tmp_path / "ada.json"
    assert served.run("export", "ada", "--output", str(file)).code == 0
    held = json.loads(file.read_text())
    assert held["keys"]["inventory"]["value"] == {"sword": 2}
    assert [one["state_key"] for one in held["history"]] == ["inventory"]
    asked = served.run("erase", "ada", "--reason", REASON)
    assert (asked.code, asked.out) == (1, "")
    assert "Nothing was erased." in asked.err
    erased = served.run("erase", "ada", "--reason", REASON, "--yes", "--json")
    assert erased.code == 0
    outcomes = erased.document()["outcomes"]
    assert outcomes == {key: {"status": "applied"} for key in served.node.schema.keys}
    assert served.node.drain(timeout_s=LIMIT_S)
    assert served.run("get", "ada", "inventory", "--json").document()["value"] == {}
    told = served.run("history", "ada", "inventory").out
    assert f"erase {REASON}" in told
    assert "sword" not in told
    assert "null → {}" in told
