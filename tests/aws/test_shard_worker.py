"""Workers on the emulator's Kinesis and DynamoDB: one is killed, another one goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from aws.one_shard import make_stream
from aws.tables import make_control_table
from ministack import MiniStack
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.leases import DynamoDBLeases
from playerstate.backends.aws.shards import kinesis_shards
from playerstate.core.leases import NOBODY
from playerstate.ports.stream import NewRecord, StreamRecord
from playerstate.runtime.shard_worker import ShardWorker
from waiting import wait_until

PROGRAM = Path(__file__).with_name("shard_worker_program.py")
PLAYERS = [f"player{n}" for n in range(8)]
LEASE_S = 1.0


def test_a_killed_worker_is_followed(ministack: MiniStack) -> None:
    """Promises 1 and 7: after kill -9 another worker takes the shards over and goes on where the last note stands. It
    may repeat a batch of each shard, and leaves nothing out.
    """
    clients = ministack.clients()
    stream = make_stream(clients, ministack.name("updates"), shard_count=2)
    table = make_control_table(ministack)
    appender = KinesisStream(clients, stream)

    def put(numbers: range) -> None:
        appender.append([NewRecord(player, f"{player} {n}".encode()) for n in numbers for player in PLAYERS])

    put(range(4))
    first = subprocess.Popen(
        [sys.executable, PROGRAM, ministack.url, stream, table, "first", str(LEASE_S)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    lines: list[str] = []
    try:
        while sum(line.count(",") + 1 for line in lines if line) < 2 * len(PLAYERS):
            line = first.stdout.readline()
            assert line, "the worker has ended by itself"
            if line.startswith("player"):
                lines.append(line.strip())
    finally:
        first.kill()
    lines += [line.strip() for line in first.stdout if line.startswith("player") and line.endswith("\n")]
    first.stdout.close()
    first.wait()
    before = [body for line in lines for body in line.split(",")]

    leases = DynamoDBLeases(clients, table, "apply")
    assert {lease.owner for lease in leases.all()} == {"first"}
    put(range(4, 6))
    after: list[str] = []

    def handle(records: Sequence[StreamRecord]) -> None:
        after.extend([record.body.decode() for record in records])

    second = ShardWorker(
        "apply", kinesis_shards(clients, stream), leases, handle, worker="second", lease_s=LEASE_S, idle_s=0.01
    )
    running = threading.Thread(target=second.run)
    running.start()
    try:
        expected = {f"{player} {n}" for n in range(6) for player in PLAYERS}
        wait_until(lambda: expected <= {*before, *after}, "everything to be handled")
    finally:
        second.stop()
        running.join()
    assert {lease.owner for lease in leases.all()} == {NOBODY}
    assert len({*before} & {*after}) <= 2 * 3, "more than the batch that was in hand in each shard"
    for player in PLAYERS:
        mine = [body for body in after if body.split(" ")[0] == player]
        assert mine == [f"{player} {n}" for n in range(6)][-len(mine) :]
