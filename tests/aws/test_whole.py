"""A whole deployment at once, every part of it the backend that runs on AWS: functions on MiniStack's Kinesis,
DynamoDB, SNS and SQS, a Valkey cluster, Neptune's stand-in with signed requests, a real InfluxDB.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws.cloud import Told
from aws.neptune_server import CREDENTIALS, NeptuneServer
from influx import Influx
from ministack import REGION, MiniStack
from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.projecting import projecting
from playerstate.aws.state import AwsState, wiring_at
from playerstate.aws.trial import make_trial
from playerstate.aws.verifying import verifying
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import UPDATES
from playerstate.core.schema import parse_schema
from playerstate.folder import starter_schema
from playerstate.lambdas import audit, link, recheck, resolve
from playerstate.workload.compare import compare
from playerstate.workload.ledger import Ledger
from playerstate.workload.life import Life
from playerstate.workload.sender import Sender
from playerstate.workload.snapshot import read_found
from valkey_cluster import Cluster

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "aws_demo"))

from driver import Driver

SECONDS = 2.0
RATE_PER_S = 100
DRAIN_S = 60.0


@pytest.fixture
def neptune(tmp_path: Path) -> Iterator[NeptuneServer]:
    """A stand-in for Neptune with the starter schema's edges."""
    schema = parse_schema(starter_schema())
    (tmp_path / "neptune").mkdir()
    server = NeptuneServer(tmp_path / "neptune", set(schema.edge_keys().values()))
    yield server
    server.close()


@pytest.fixture
def wiring(
    ministack: MiniStack,
    valkey_cluster: Cluster,
    neptune: NeptuneServer,
    influx: Influx,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Wiring:
    """The deployment's parts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_key)
    if CREDENTIALS.token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", CREDENTIALS.token)
    schema = tmp_path / "game.toml"
    schema.write_text(starter_schema(), "utf-8")
    given = {
        s.SCHEMA: str(schema),
        s.CACHE_URL: valkey_cluster.url,
        s.GRAPH_URL: neptune.url,
        s.AUDIT_URL: influx.url,
        s.AUDIT_DATABASE: influx.database(),
        s.PROJECT_FUNCTION: "project",
    }
    url = make_trial(ministack.clients(), ministack.name("whole"), REGION, given, shards=1)
    return wiring_at(url, endpoint_url=ministack.url)


def drive(wiring: Wiring, told: Told) -> Driver:
    """Have the functions called."""
    driver = Driver(wiring.clients)
    text = wiring.environment.text
    driver.stream("apply", text(s.STREAM), applying(wiring, told))
    driver.table("project", text(s.TABLE), projecting(wiring, told))
    for name, setting, function in [
        ("link", s.LINK_QUEUE_URL, link),
        ("audit", s.AUDIT_QUEUE_URL, audit),
        ("resolve", s.RESOLVE_QUEUE_URL, resolve),
        ("recheck", s.RECHECK_QUEUE_URL, recheck),
    ]:
        driver.queue(name, text(setting), function.make(wiring, told))
    return driver


def test_everything_agrees(wiring: Wiring) -> None:
    """Promises 1, 2, 5, 8 and 9: what a life-like load with repeats comes to is what plain Python makes of it, in the
    table, the cache, the graph and the history, and verification finds nothing.
    """
    state, told, ledger = AwsState(wiring), Told(), Ledger()
    wiring.cache.clear()
    driver = drive(wiring, told)
    try:
        sender = Sender(state, Life(3, players=40), ledger, rate_per_s=RATE_PER_S, seed=3)
        sender.run(SECONDS, threading.Event())
        assert (sender.error, sender.rejections) == (None, [])
        assert state.drain(timeout_s=DRAIN_S)
        outcomes = {label: told.total(UPDATES, label) for _, (label,) in told.counted_of(UPDATES)}
        expected = ledger.expected(repeats=sender.repeats, retried=sender.retried)
        outcomes["duplicate"] = sender.repeats
        assert [
            str(finding)
            for finding in compare(expected, read_found(state.parts, wiring.schema, expected, outcomes)).findings
        ] == []
        checked = verifying(wiring, told)({})
        assert (checked["findings"], checked["not_checked"]) == (0, {})
        assert checked["keys"] > 0
    finally:
        driver.stop()
    assert driver.errors == []
