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

import pytest

import playerstate
from e2e.served import Served
from playerstate.core.answers import Accepted
from playerstate.core.model import Op, Update
from playerstate.errors import NotNow, OutcomeUnknown

UPDATES = int(os.environ.get("PLAYERSTATE_CRASH_UPDATES", "6000"))
KILLS = int(os.environ.get("PLAYERSTATE_CRASH_KILLS", "4"))
PLAYERS = 50
BATCH = 100


def traffic(seed: int) -> list[Update]:
    """Gold for some players, by one producer."""
    choose = random.Random(seed)
    sequences: Counter[str] = Counter()
    updates = []
    for _ in range(UPDATES):
        player = f"player-{choose.randrange(PLAYERS)}"
        sequences[player] += 1
        op = Op(player, "gold", "add", n=choose.randrange(1, 100))
        updates.append(Update([op], "crash-test", sequences[player]))
    return updates


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
    """Promises 1 and 2 across kill -9: the sums are exact, and the history explains each update exactly once."""
    updates = traffic(seed)
    served.connect().close()
    choose = random.Random(seed)
    sender = Sender(served, updates)
    sender.start()
    for point in sorted(choose.sample(range(len(updates) // BATCH), KILLS)):
        sender.wait_for(point)
        time.sleep(choose.uniform(0, 0.02))  # anywhere within what happens next
        served.kill()
    sender.wait_for(len(updates) // BATCH)

    node = served.connect()
    assert node.drain(timeout_s=120)
    expected: Counter[str] = Counter()
    identities: Counter[tuple[str, int]] = Counter()
    for update in updates:
        expected[update.ops[0].player_id] += int(update.ops[0].n)  # type: ignore[arg-type]
        identities[update.ops[0].player_id, update.sequence] += 1
    assert {player: node.get(player, "gold").decoded() for player in expected} == dict(expected)
    explained: Counter[tuple[str, int]] = Counter()
    for player in expected:
        for transition in node.history(player, limit=1_000_000):
            explained.update((player, cause.sequence) for cause in transition.causes)
    assert explained == identities
    node.close()
    assert served.stop() == 0
    with playerstate.open(served.folder) as reopened:
        assert {player: reopened.get(player, "gold").decoded() for player in expected} == dict(expected)
    print(f"{UPDATES} updates, {KILLS} kills, {sender.tries} batches sent again")
