"""The handlers as Lambda starts and calls them: wired while they are imported, each called with what its source sends,
its metrics on standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aws.envelopes import sqs_event
from ministack import REGION, MiniStack
from playerstate.aws import settings as s
from playerstate.aws.handler import FunctionFailed
from playerstate.aws.settings import PARAMETER
from playerstate.aws.state import AwsState, wiring_at
from playerstate.aws.trial import make_trial
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import (
    AWS_METRICS,
    CHANGES_CHECKED,
    EDGES_SYNCED,
    FRESHNESS,
    HANDLER_START,
    KEYS_COMPARED,
    ROWS_WRITTEN,
    TRANSITIONS_RECORDED,
    UPDATES,
    VIEWS_WRITTEN,
)
from playerstate.core.lookups import Lookup, Shown, encode_lookup
from playerstate.core.model import Key
from playerstate.core.wire import encode_call
from playerstate.folder import starter_schema
from playerstate.ports.queue import Message
from playerstate.runtime.logs import LogStyle, configure_logging, current_style

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "aws_demo"))

from driver import dynamodb_record, kinesis_record, sqs_message

DONE: dict[str, list[Any]] = {"batchItemFailures": []}
Said = Callable[[], dict[str, list[Any]]]


@pytest.fixture
def wiring(ministack: MiniStack, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    """A deployment, and this process's environment that of one of its functions."""
    schema = tmp_path / "game.toml"
    schema.write_text(starter_schema(), "utf-8")
    given = {
        s.SCHEMA: str(schema),
        s.CACHE_URL: valkey_url,
        s.GRAPH_URL: f"ladybug:{tmp_path / 'graph'}",
        s.AUDIT_URL: f"sqlite:{tmp_path / 'audit.db'}",
        s.PROJECT_FUNCTION: "project",
    }
    url = make_trial(ministack.clients(), ministack.name("lambda"), REGION, given)
    for name in [name for name in os.environ if name.startswith("PLAYERSTATE_")]:  # of the tests' own
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_LAMBDA_FUNCTION_NAME": "game",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": ministack.url,
        PARAMETER: f"/{url.rpartition('/')[2]}/settings",
    }.items():
        monkeypatch.setenv(name, value)
    style = current_style()
    yield wiring_at(url, endpoint_url=ministack.url)
    configure_logging(style or LogStyle())


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """What the functions have written as metrics since this was asked for last, by name."""

    def read() -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line)
            for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                found.setdefault(metric["Name"], []).append(document[metric["Name"]])
        assert set(found) <= {metric.name for metric in AWS_METRICS}
        return found

    return read


def started(name: str) -> Any:
    """A handler, imported as at a cold start."""
    return importlib.reload(importlib.import_module(f"playerstate.lambdas.{name}")).handler


def stream_event(wiring: Wiring) -> dict[str, Any]:
    clients, stream = wiring.clients, wiring.environment.text(s.STREAM)
    (shard,) = clients.read("kinesis", "list_shards", StreamName=stream)["Shards"]
    start = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = clients.read("kinesis", "get_shard_iterator", **start)["ShardIterator"]
    return {
        "Records": [
            kinesis_record(one) for one in clients.read("kinesis", "get_records", ShardIterator=iterator)["Records"]
        ]
    }


def table_event(wiring: Wiring) -> dict[str, Any]:
    clients = wiring.clients
    arn = clients.read("dynamodb", "describe_table", TableName=wiring.environment.text(s.TABLE))["Table"][
        "LatestStreamArn"
    ]
    (shard,) = clients.read("dynamodbstreams", "describe_stream", StreamArn=arn)["StreamDescription"]["Shards"]
    start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = clients.read("dynamodbstreams", "get_shard_iterator", **start)["ShardIterator"]
    records = clients.read("dynamodbstreams", "get_records", ShardIterator=iterator)["Records"]
    return {"Records": [dynamodb_record(record) for record in records]}


def queue_event(wiring: Wiring, setting: s.Setting) -> dict[str, Any]:
    messages = wiring.clients.read(
        "sqs",
        "receive_message",
        QueueUrl=wiring.environment.text(setting),
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
    ).get("Messages", [])
    assert messages
    return {"Records": [sqs_message(message) for message in messages]}


def test_every_function(wiring: Wiring, said: Said, ministack: MiniStack) -> None:
    """An update goes from Kinesis to the graph and the history by handlers that began as Lambda begins them, and each
    tells what it did by the metrics that alarms stand on.
    """
    handlers = {
        name: started(name) for name in ("apply", "project", "link", "audit", "resolve", "recheck", "verify", "failed")
    }
    wiring.cache.clear()
    state = AwsState(wiring)
    answer = state.send({"ops": [{"player_id": "ada", "state_key": "friends", "op": "add", "elements": ["bob"]}]})
    assert handlers["apply"](stream_event(wiring)) == DONE
    apply_said = said()
    assert (apply_said[UPDATES.name], apply_said[ROWS_WRITTEN.name]) == ([1], [1])
    assert apply_said[HANDLER_START.name][0] > 0
    assert handlers["project"](table_event(wiring)) == DONE
    project_said = said()
    assert project_said[VIEWS_WRITTEN.name] == [1]
    assert project_said[FRESHNESS.name][0] >= 0
    assert state.get("ada", "friends").decoded() == ["bob"]
    assert handlers["link"](queue_event(wiring, s.LINK_QUEUE_URL)) == DONE
    assert said()[EDGES_SYNCED.name] == [1]
    assert handlers["audit"](queue_event(wiring, s.AUDIT_QUEUE_URL)) == DONE
    assert said()[TRANSITIONS_RECORDED.name] == [1]
    assert handlers["resolve"](sqs_event([Message("m1", encode_call(Key("ada", "friends")), 1)])) == DONE
    now = wiring.clock.now_ms()
    version = state.get("ada", "friends").version
    lookup = Lookup(changes=[Shown("ada", "friends", version, now - 1_000, now - 900)])
    assert handlers["recheck"](sqs_event([Message("m1", encode_lookup(lookup), 1)])) == DONE
    assert sum(said()[CHANGES_CHECKED.name]) >= 1
    assert handlers["verify"]({})["keys"] == 1
    assert KEYS_COMPARED.name in said()
    tried = json.dumps({"Event": "s3:TestEvent"}).encode()
    assert handlers["failed"](sqs_event([Message("m1", tried, 1)])) == DONE
    assert state.outcome(answer.identity) is not None


def test_what_lambda_is_told_of_an_error(wiring: Wiring, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was, and nothing that players have: Lambda prints it where our logs would not."""
    handler = started("apply")
    function, _ = handler._made()

    def broken(_: Any) -> Any:
        raise KeyError("ada")

    monkeypatch.setattr(function._apply, "handle", broken)
    AwsState(wiring).send({"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 1}]})
    with pytest.raises(FunctionFailed) as failed:
        handler(stream_event(wiring))
    assert str(failed.value) == "KeyError"
    assert failed.value.__cause__ is None
