"""Workers as processes on the emulator: what is sent goes all the way, one is killed, all end when they are told to."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec
import pytest

from aws.cloud import Told
from aws.worker_processes import WorkerProcess, ministack_environment
from builders import NOW_MS, op, update, write
from ministack import MiniStack
from playerstate.aws import settings as s
from playerstate.aws.settings import Environment
from playerstate.aws.state import AwsState
from playerstate.aws.trial import make_trial
from playerstate.aws.wiring import Wiring
from playerstate.aws.workers import PerThread, Worker, make_worker
from playerstate.backends.aws.emf import BATCH_FAILURES, CHANGES_CHECKED, KEYS_COMPARED
from playerstate.backends.aws.leases import DynamoDBLeases
from playerstate.backends.aws.store import DynamoStore
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.cli import working as working_module
from playerstate.cli.working import work
from playerstate.core.leases import NOBODY
from playerstate.core.lookups import Lookup, Shown, encode_lookup
from playerstate.core.model import Key, Notice, View
from playerstate.core.wire import encode_notices, read_row_head
from playerstate.errors import StartRefused, Unavailable
from playerstate.folder import starter_schema
from playerstate.ports.graph import EdgesOfKey
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
        killed.process.kill()
        assert killed.process.wait(LIMIT_S) == -signal.SIGKILL
        assert sending.is_alive(), "apply was not killed in the middle"
        workers["apply"] = WorkerProcess("apply", deployment.url, ministack, tmp_path / "second", *LEASE)
        sending.join()
        assert (sender.error, sender.rejections) == (None, [])
        assert state.drain(timeout_s=LIMIT_S)
        wait_until(lambda: THERE in read_row_head(wiring.store.load([key])[key][HERE]).vector, "regions to be joined")
        for worker in workers.values():
            worker.process.terminate()
        for stage, worker in workers.items():
            assert worker.process.wait(LIMIT_S) == 0, worker.errors
            assert worker.events[-2:] == ["stopping", "stopped"], stage
        assert {lease.owner for lease in leases.all()} == {NOBODY}

        expected = ledger.expected(repeats=sender.repeats, retried=sender.retried)
        parts = replace(state.parts, graph=LadybugGraph(deployment.graph, wiring.schema))
        comparison = compare(expected, read_found(parts, wiring.schema, expected, {}))
        assert [str(one) for one in comparison.findings if one.place != "outcomes"] == []
    assert workers["resolve"].total("ConflictsResolved") >= 1
    assert workers["audit"].total("TransitionsRecorded") > 0


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """A worker in a thread of this process, until it is told to stop."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


class GraphWithout(MemoryGraph):
    """A graph that does not take the edges of one player."""

    def __init__(self, player_id: str) -> None:
        super().__init__()
        self._player_id = player_id

    def sync(self, batch: Sequence[EdgesOfKey]) -> int:
        if any(edges.key.player_id == self._player_id for edges in batch):
            raise Unavailable("not that one")
        return super().sync(batch)


def test_a_message_fails_for_itself_alone(deployment: Deployment) -> None:
    """Of messages that came together, one that cannot be taken now stays on the queue, and the others are done."""
    wiring, told = deployment.wiring, Told()
    graph = GraphWithout("player-1")
    wiring.__dict__["graph"] = graph
    queue = wiring.queue(s.LINK_QUEUE_URL)
    joined = {
        Key(f"player-{n}", "guild"): Notice(
            f"player-{n}", "guild", HERE, f"{HERE}:1", 1, NOW_MS, msgspec.Raw(b'"owls"')
        )
        for n in range(4)
    }
    queue.send([encode_notices([notice]) for notice in joined.values()])
    with running(make_worker("link", wiring, told)):
        wait_until(lambda: queue.depth() == 1, "the others to be done")
    assert [key.player_id for key in joined if graph.edges(key)[1]] == ["player-0", "player-2", "player-3"]
    assert told.total(BATCH_FAILURES, "link") >= 1
    assert wiring.dead_letters.count() == 0


def test_verification_checks_and_looks_again(deployment: Deployment) -> None:
    """What is in the table is compared by the worker of verify; a change is looked up by that of recheck."""
    wiring, told, key = deployment.wiring, Told(), Key("ada", "experience")
    assert wiring.store.commit([[write(key, 1, region=HERE)]]) == [True]
    with running(make_worker("verify", wiring, told)):
        wait_until(lambda: told.total(KEYS_COMPARED, "store") > 0, "a check")
    wiring.cache.put([View(*key, f"{HERE}:1", msgspec.Raw(b"1"))])
    queue, now = wiring.queue(s.RECHECK_QUEUE_URL), wiring.clock.now_ms()
    queue.send([encode_lookup(Lookup(changes=[Shown(*key, f"{HERE}:1", now, now)]))])
    with running(make_worker("recheck", wiring, told)):
        wait_until(lambda: told.total(CHANGES_CHECKED, "1") > 0, "a look")


def test_each_thread_has_a_function_of_its_own() -> None:
    """No two shards share what a stage keeps from batch to batch; one shard has the same all the time."""
    function: PerThread[object] = PerThread(object)
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.extend([function(), function()])) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert seen[0] is not seen[2]


def test_a_broken_promise_ends_the_worker(
    deployment: Deployment, ministack: MiniStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise 9: apply does not go on beside a damaged row; the worker says why, and gives its leases up."""
    wiring, key = deployment.wiring, Key("ada", "gold")
    item = {"player_id": {"S": "ada"}, "state_key": {"S": f"gold#{HERE}"}, "version_vector": {"S": f"{HERE}:1"}}
    table, body = wiring.environment.text(s.TABLE), {"body": {"B": b"no row"}}
    wiring.clients.write("dynamodb", "put_item", TableName=table, Item=item | body)
    for name, value in ministack_environment(ministack).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(working_module, "calm_collector", lambda: None)
    with AwsState(wiring) as state:
        state.send(update(op(player_id=key.player_id, state_key=key.state_key), sent_at=wiring.clock.now_ms()))
    signals: SimpleQueue[int] = SimpleQueue()
    assert not work("apply", deployment.url, signals, lease_s=1.0, as_json=True)
    signals.put(signal.SIGTERM)  # for the thread that waits for one
    said = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert said["error"]["code"] == "invariant_violated"
    leases = DynamoDBLeases(wiring.clients, wiring.environment.text(s.CONTROL_TABLE), "apply")
    assert {lease.owner for lease in leases.all()} == {NOBODY}


def test_what_a_deployment_lacks_is_said_at_the_start(deployment: Deployment) -> None:
    """No worker starts on a queue that is not there, or on a table without a stream."""
    wiring = deployment.wiring
    without = Environment(
        {s.RESOLVE_QUEUE_URL.name: "", s.TABLE.name: wiring.environment.text(s.CONTROL_TABLE)}, where=""
    )
    poor = Wiring(without, wiring.clients)
    with pytest.raises(StartRefused, match="none of the SQS queue of the resolver"):
        make_worker("resolve", poor, Told())
    with pytest.raises(StartRefused, match="has no stream"):
        make_worker("project", poor, Told())
