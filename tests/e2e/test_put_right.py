"""Setting and undoing with a node on a folder, over its socket, as commands, and between regions."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import playerstate
from e2e.program import LIMIT_S, Served
from playerstate.api import PlayerState
from playerstate.core.amendment import Amendment
from playerstate.core.answers import Accepted
from playerstate.core.model import Identity, Outcome, Reason, Status
from playerstate.errors import InvalidUpdate
from playerstate.node import Node, Options
from playerstate.regions import Regions

THREADS = Options(workers="thread")
APPLIED = Outcome(Status.APPLIED)
WHY = "ticket 4711"
US, EU = "us-east-1", "eu-west-1"


def op(player_id: str, state_key: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"player_id": player_id, "state_key": state_key, "op": name, **rest}


def applied(node: PlayerState, *ops: dict[str, Any]) -> Identity:
    """Send an update, wait for it, and name it."""
    answer = node.send({"ops": list(ops), "note": "a game server may say why, too"})
    assert isinstance(answer, Accepted)
    assert node.outcome(answer.identity, wait_s=LIMIT_S) == APPLIED
    return answer.identity


def undo_or_code(node: PlayerState, identity: Identity) -> Amendment | str:
    """What came of undoing, or why it cannot be."""
    try:
        return node.undo(identity, reason=WHY)
    except InvalidUpdate as exc:
        return exc.code


def test_a_trade_is_undone_over_the_socket(tmp_path: Path) -> None:
    """Right after it was sent, on both sides, once whoever does it at once; what was spent meanwhile keeps all of it.

    Promises 2, 4, 5, 9.
    """
    folder = tmp_path / "data"
    with Node(folder, options=THREADS), playerstate.open(folder) as remote:
        applied(remote, op("ada", "gold", "add", n=50))
        applied(remote, op("eve", "inventory", "add", item="sword", n=1))
        trade = applied(
            remote,
            op("ada", "gold", "subtract", n=30),
            op("eve", "gold", "add", n=30),
            op("ada", "inventory", "add", item="sword", n=1),
            op("eve", "inventory", "subtract", item="sword", n=1),
        )
        spent = applied(remote, op("eve", "gold", "subtract", n=1))
        assert remote.undo(trade, reason=WHY).outcome == Outcome(Status.REFUSED, Reason.INSUFFICIENT)
        assert remote.undo(spent, reason=WHY).outcome == APPLIED
        rehearsed = remote.undo(trade, reason=WHY, dry_run=True)
        assert rehearsed.outcome == APPLIED
        with ThreadPoolExecutor(4) as pool:
            at_once = [
                one for one in pool.map(lambda _: undo_or_code(remote, trade), range(4)) if one != "already_undone"
            ]
        undone = at_once[0]
        assert isinstance(undone, Amendment)
        assert undone.outcome == APPLIED
        assert undone.changes == rehearsed.changes
        assert remote.drain(timeout_s=LIMIT_S)
        assert [remote.get(player, "gold").decoded() for player in ("ada", "eve")] == [50, 0]
        assert remote.get("eve", "inventory").decoded() == {"sword": 1}
        with pytest.raises(InvalidUpdate) as caught:
            remote.undo(trade, reason=WHY)
        assert caught.value.code == "already_undone"
        assert undone.update is not None
        assert remote.undo(undone.update.identity, reason=WHY).outcome == APPLIED
        big = remote.set_value("ada", "experience", str(2**70), reason=WHY)
        assert big.outcome == APPLIED
        assert remote.drain(timeout_s=LIMIT_S)
        assert remote.get("ada", "experience").decoded() == str(2**70)
        notes = [cause.note for t in remote.history("ada", "gold").transitions for cause in t.causes]
        assert notes[-1] == "a game server may say why, too"
        assert notes[0] is not None
        assert notes[0].startswith("undo of undo:")
        assert {cause.note for t in remote.export("ada").history for cause in t.causes} >= {*notes, f"set: {WHY}"}


def test_put_right_by_command(served: Served) -> None:
    """What `history` shows is what `undo` takes; with worker processes, in words and as JSON. Promise 9."""
    assert served.run("send", "ada", "gold", "add", "5", "--note", "found in a cave").code == 0
    done = served.run("set", "ada", "gold", "500", "--reason", WHY, "--yes")
    assert (done.code, done.out.splitlines()[1:]) == (0, ["ada/gold: 5 → 500"])
    assert (
        served.run("set", "ada", "gold", "500", "--reason", WHY, "--yes").out == "It is so already; nothing was sent.\n"
    )
    asked = served.run("set", "ada", "gold", "7", "--reason", WHY)
    assert (asked.code, asked.out) == (1, "")
    assert asked.err.splitlines()[0] == "ada/gold: 500 → 7"
    assert served.node.drain(timeout_s=LIMIT_S)
    told = served.run("history", "ada", "gold")
    assert f"set +495 [set: {WHY}]" in told.out
    assert "add +5 [found in a cave]" in told.out
    (named,) = {match for line in told.out.splitlines() if "set +495" in line for match in re.findall(r"\S+#\d+", line)}
    undone = served.run("undo", "ada", "gold", named, "--reason", "wrong player", "--yes", "--json").document()
    assert undone["outcome"] == {"status": "applied"}
    assert undone["note"] == f"undo of {named}: wrong player"
    assert undone["changes"] == [
        {"player_id": "ada", "state_key": "gold", "version": "local:2", "before": 500, "after": 5}
    ]
    again = served.run("undo", "ada", "gold", named, "--reason", "wrong player", "--yes", "--json")
    assert again.code == 1
    assert again.errors()[0]["error"]["code"] == "already_undone"
    served.run("send", "ada", "friends", "add", "bob")
    assert served.node.drain(timeout_s=LIMIT_S)
    (befriended,) = served.run("history", "ada", "friends", "--json").document()["transitions"]
    (cause,) = befriended["causes"]
    assert (cause["note"], cause["others"], cause["effects"]) == (None, [], [{"op": "add", "elements": ["bob"]}])


def test_of_several_regions_the_one_that_applied_it_undoes_it(tmp_path: Path) -> None:
    """Another one says which that is, and does nothing; nor does it guess what was written there since."""
    with Regions(tmp_path / "world", [US, EU], options=THREADS) as regions:
        us, eu = regions[US].service, regions[EU].service
        earned = applied(eu, op("ada", "gold", "add", n=40))
        named = applied(us, op("ada", "guild", "set", value="red"))
        assert regions.settle(timeout_s=LIMIT_S)
        with pytest.raises(InvalidUpdate, match="eu-west-1 has applied it: undo it there"):
            us.undo(earned, reason=WHY)
        assert eu.undo(earned, reason=WHY).outcome == APPLIED
        applied(eu, op("ada", "guild", "set", value="blue"))
        assert regions.settle(timeout_s=LIMIT_S)
        assert us.get("ada", "gold").decoded() == 0
        with pytest.raises(InvalidUpdate) as caught:
            us.undo(named, reason=WHY)
        assert caught.value.code == "written_elsewhere"
        assert "with `set`" in str(caught.value)
        assert "at `$`" not in str(caught.value)
        assert us.set_value("ada", "guild", "green", reason=WHY).outcome == APPLIED
        assert regions.settle(timeout_s=LIMIT_S)
        assert eu.get("ada", "guild").decoded() == "green"
