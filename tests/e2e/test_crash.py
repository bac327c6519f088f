"""kill -9 of a node, at random moments of a send: what was acknowledged is there afterwards, once.

`PLAYERSTATE_CRASH_UPDATES` and `PLAYERSTATE_CRASH_KILLS` make the run longer than the default.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import playerstate
from e2e.served import Served
from playerstate.core.answers import Accepted
from playerstate.core.model import Key, Op, Update
from playerstate.errors import NotNow, OutcomeUnknown

UPDATES = int(os.environ.get("PLAYERSTATE_CRASH_UPDATES", "6000"))
KILLS = int(os.environ.get("PLAYERSTATE_CRASH_KILLS", "4"))
PLAYERS = 50
BATCH = 100


def traffic(seed: int) -> list[Update]:
    """A day of some players, by one producer: gains, purchases and gifts that may be too dear, moves, friends.

    What is refused depends on the sender's own gold alone: only a player's updates keep their order within a call.
    """
    choose = random.Random(seed)
    sequences: Counter[Key] = Counter()
    updates = []
    for number in range(UPDATES):
        player = f"player-{choose.randrange(PLAYERS)}"
        other = f"player-{choose.randrange(PLAYERS)}"
        ops = choose.choice(
            [
                [Op(player, "gold", "add", n=choose.randrange(1, 100))],
                [Op(player, "gold", "subtract", n=80), Op(player, "inventory", "add", item="sword", n=1)],
                [Op(player, "gold", "subtract", n=30), Op(other, "inventory", "add", item="gift", n=1)],
                [Op(player, "position", "set", value=number)],
                [Op(player, "friends", choose.choice(["add", "remove"]), elements=[other])],
            ]
        )
        sequences[ops[0].key] += 1
        updates.append(Update(ops, "crash-test", sequences[ops[0].key]))
    return updates


def played(updates: list[Update]) -> dict[Key, Any]:
    """What plain Python makes of it, in the order of sending."""
    state: dict[Key, Any] = {}
    for update in updates:
        after = dict(state)
        for op in update.ops:
            before = after.get(op.key)
            match op.state_key, op.op:
                case "gold", kind:
                    after[op.key] = (before or 0) + (int(op.n) if kind == "add" else -int(op.n))  # type: ignore[arg-type]
                case "inventory", _:
                    after[op.key] = {**(before or {}), op.item: (before or {}).get(op.item, 0) + 1}
                case "position", _:
                    after[op.key] = op.value
                case "friends", "add":
                    after[op.key] = sorted({*(before or ()), *op.elements})  # type: ignore[misc]
                case "friends", _:
                    after[op.key] = sorted({*(before or ())} - {*op.elements})  # type: ignore[misc]
        if all(after[op.key] >= 0 for op in update.ops if op.state_key == "gold"):
            state = after
    return state


class Sender(threading.Thread):
    """Sends every batch until it is acknowledged."""

    def __init__(self, served: Served, updates: list[Update]) -> None:
        super().__init__(daemon=True)
        self._served = served
        self._batches = [updates[start : start + BATCH] for start in range(0, len(updates), BATCH)]
        self._changed = threading.Condition()
        self.acknowledged = 0
        self.tries = 0

    def run(self) -> None:
        """Send all; a batch that fails is sent again, to a new connection, with the same identities."""
        for batch in self._batches:
            while not self._send(batch):
                self.tries += 1
            with self._changed:
                self.acknowledged += 1
                self._changed.notify_all()

    def _send(self, batch: list[Update]) -> bool:
        with self._served.connect() as node:
            try:
                answers = node.send_many(batch)
            except (NotNow, OutcomeUnknown):
                return False
        assert all(isinstance(answer, Accepted) for answer in answers)
        return True

    def wait_for(self, batches: int) -> None:
        """Until so many batches are acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.acknowledged >= batches, 120), "the sender is stuck"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A node in a process of its own, which does not outlive the test."""
    node = Served(tmp_path / "data")
    try:
        yield node
    finally:
        if node.process.poll() is None:
            node.stop()


@pytest.mark.parametrize("seed", [1])
def test_every_acknowledged_update_is_applied_once(served: Served, seed: int) -> None:
    """Promises 1 and 2 across kill -9: the state is exact, and the history explains each update exactly once."""
    updates = traffic(seed)
    served.connect().close()
    choose = random.Random(seed)
    sender = Sender(served, updates)
    sender.start()
    for point in sorted(choose.sample(range(len(updates) // BATCH), KILLS)):
        sender.wait_for(point)
        time.sleep(choose.uniform(0, 0.02))  # anywhere within what happens next
        served.kill(everything=choose.random() < 0.5)
    sender.wait_for(len(updates) // BATCH)

    node = served.connect()
    assert node.drain(timeout_s=120)
    expected = played(updates)
    assert {key: node.get(*key).decoded() for key in expected} == expected
    friends = {key.player_id: value for key, value in expected.items() if key.state_key == "friends"}
    assert {player: node.neighbours(player, "FRIEND") for player in friends} == friends
    explained: Counter[tuple[Key, int]] = Counter()
    for player in {key.player_id for key in expected}:
        for transition in node.history(player, limit=1_000_000).transitions:
            key = Key(transition.player_id, transition.state_key)
            explained.update((key, cause.sequence) for cause in transition.causes if cause.of is None)
    assert explained == Counter((update.first_key, update.sequence) for update in updates)
    node.close()
    assert served.stop() == 0
    with playerstate.open(served.folder) as reopened:
        assert {key: reopened.get(*key).decoded() for key in expected} == expected
    print(f"{UPDATES} updates, {KILLS} kills, {sender.tries} batches sent again")
