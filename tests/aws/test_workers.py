"""Workers as processes on the emulator: what is sent goes all the way, one is killed, all end when they are told to."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from aws.worker_processes import WorkerProcess
from builders import op, update, write
from ministack import MiniStack
from playerstate.aws import settings as s
from playerstate.aws.settings import Environment
from playerstate.aws.state import AwsState
from playerstate.aws.trial import make_trial
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.leases import DynamoDBLeases
from playerstate.backends.aws.store import DynamoStore
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.core.leases import NOBODY
from playerstate.core.model import Key
from playerstate.core.wire import read_row_head
from playerstate.folder import starter_schema
from playerstate.workload.compare import compare
from playerstate.workload.ledger import Ledger
from playerstate.workload.life import Life
from playerstate.workload.sender import Sender
from playerstate.workload.snapshot import read_found
from waiting import LIMIT_S, wait_until

HERE, THERE = "us-east-1", "us-west-2"
STAGES = ("apply", "project", "link", "audit", "resolve")
LEASE = ("--lease-s", "1")
RATE_PER_S = 100
SEND_S = 2.0


class Deployment(NamedTuple):
    """A deployment of one region, beside which another one has rows; `wiring` has another graph than the workers."""

    url: str
    wiring: Wiring
    graph: Path


@pytest.fixture
def deployment(ministack: MiniStack, tmp_path: Path) -> Iterator[Deployment]:
    schema = tmp_path / "game.toml"
    schema.write_text(starter_schema(), "utf-8")
    valkey = ValkeyServer(tmp_path / "valkey", maxmemory_mb=64, marker="workers")
    valkey.start()
    clients, name, graph = ministack.clients(), ministack.name("workers"), tmp_path / "graph"
    given = {
        s.SCHEMA: str(schema),
        s.REGIONS: f"{HERE},{THERE}",
        s.CACHE_URL: valkey.url,
        s.GRAPH_URL: f"ladybug:{graph}",
        s.AUDIT_URL: f"sqlite:{tmp_path / 'audit.db'}",
    }
    try:
        url = make_trial(clients, name, HERE, given, shards=2)
        said = clients.read("ssm", "get_parameter", Name=f"/{name}/settings")["Parameter"]["Value"]
        mine = json.loads(said) | {s.GRAPH_URL.name: f"ladybug:{tmp_path / 'no graph'}"}
        yield Deployment(url, Wiring(Environment.of_parameter(json.dumps(mine), name), clients), graph)
    finally:
        valkey.stop()


@contextmanager
def working(deployment: Deployment, ministack: MiniStack, folder: Path) -> Iterator[dict[str, WorkerProcess]]:
    """A worker of each stage, from when they work."""
    workers: dict[str, WorkerProcess] = {}
    try:
        for stage in STAGES:
            more = LEASE if stage in ("apply", "project") else ()
            workers[stage] = WorkerProcess(stage, deployment.url, ministack, folder, *more)
        for worker in workers.values():
            wait_until(worker.is_working, f"the worker of {worker.stage} to start")
        yield workers
    finally:
        for worker in workers.values():
            worker.abandon()


def differ(deployment: Deployment, state: AwsState, key: Key) -> None:
    """Have both regions write a row of a key, without having heard of each other."""
    wiring = deployment.wiring
    state.send(update(op(player_id=key.player_id, state_key=key.state_key), sent_at=wiring.clock.now_ms()))
    wait_until(lambda: bool(wiring.store.load([key])[key]), "the update to be applied")
    there = DynamoStore(wiring.clients, wiring.environment.text(s.TABLE), THERE, lambda: [THERE])
    assert there.commit([[write(key, 1, region=THERE)]]) == [True]


def test_what_is_sent_goes_all_the_way(deployment: Deployment, ministack: MiniStack, tmp_path: Path) -> None:
    """Promises 1 and 2: table, cache, graph and history come to what plain Python makes of a load, with nothing lost
    and nothing doubled, although the worker of apply is killed in the middle and another one takes over.
    """
    wiring = deployment.wiring
    leases = DynamoDBLeases(wiring.clients, wiring.environment.text(s.CONTROL_TABLE), "apply")
    ledger, key = Ledger(), Key("torn", "experience")
    with AwsState(wiring) as state, working(deployment, ministack, tmp_path / "workers") as workers:
        differ(deployment, state, key)
        sender = Sender(state, Life(1, players=20), ledger, rate_per_s=RATE_PER_S, seed=1)
        sending = threading.Thread(target=sender.run, args=(SEND_S, threading.Event()))
        sending.start()
        wait_until(lambda: any(lease.position for lease in leases.all()), "apply to come somewhere")
        killed = workers["apply"]
        assert killed.end(signal.SIGKILL) == -signal.SIGKILL
        assert sending.is_alive(), "apply was not killed in the middle"
        workers["apply"] = WorkerProcess("apply", deployment.url, ministack, tmp_path / "second", *LEASE)
        sending.join()
        assert (sender.error, sender.rejections) == (None, [])
        assert state.drain(timeout_s=LIMIT_S)
        wait_until(lambda: THERE in read_row_head(wiring.store.load([key])[key][HERE]).vector, "regions to be joined")
        for stage, worker in workers.items():
            assert worker.end() == 0, worker.errors
            assert worker.events[-2:] == ["stopping", "stopped"], stage
        assert {lease.owner for lease in leases.all()} == {NOBODY}

        expected = ledger.expected(repeats=sender.repeats, retried=sender.retried)
        parts = replace(state.parts, graph=LadybugGraph(deployment.graph, wiring.schema))
        comparison = compare(expected, read_found(parts, wiring.schema, expected, {}))
        assert [str(one) for one in comparison.findings if one.place != "outcomes"] == []
    assert workers["resolve"].total("ConflictsResolved") >= 1
    assert workers["audit"].total("TransitionsRecorded") > 0
