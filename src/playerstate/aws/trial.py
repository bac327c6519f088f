"""A deployment made by calls, for trials: on an emulator, or in an account of one's own to be thrown away after.

What a deployment needs to be safe and cheap, keys, alarms, networks, dead-letter queues' alarms, is not made here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from playerstate.aws import settings as s
from playerstate.backends.aws.clients import Clients
from playerstate.core.groups import FILTER_POLICIES, Wants
from playerstate.errors import Unavailable

QUEUES = {"link": Wants.EDGES, "audit": Wants.EVERYTHING, "resolve": None, "recheck": None}
"""The queues of a deployment, and what of the topic each subscribes to."""
RECEIVES_MAX = 3
WAIT_TRIES_MAX = 100


def make_trial(
    clients: Clients,
    name: str,
    region: str,
    given: Mapping[s.Setting, str],
    *,
    shards: int = 1,
    schema_text: str | None = None,
) -> str:
    """Make what a deployment of one region consists of, and its parameter of settings; returns its URL.

    `given` are the settings of what is not made here: cache, graph, audit, and the schema's file, if its text is not
    given to be kept in a parameter of its own. Raises `NotNow`, `OutcomeUnknown`.
    """
    clients.write("kinesis", "create_stream", StreamName=f"{name}-updates", ShardCount=shards)
    _make_table(clients, f"{name}-rows", "player_id", "state_key", images=True)
    _make_table(clients, f"{name}-control", "pk", "sk", images=False)
    topic = clients.write("sns", "create_topic", Name=f"{name}-notices")["TopicArn"]
    urls = {queue: _make_queue(clients, f"{name}-{queue}") for queue in QUEUES}
    for queue, wants in QUEUES.items():
        if wants is not None:
            _let_in(clients, topic, urls[queue])
            _subscribe(clients, topic, urls[queue], FILTER_POLICIES[wants])
    settings = {
        s.REGION: region,
        s.REGIONS: region,
        s.TABLE: f"{name}-rows",
        s.CONTROL_TABLE: f"{name}-control",
        s.STREAM: f"{name}-updates",
        s.TOPIC_ARN: topic,
        s.LINK_QUEUE_URL: urls["link"],
        s.AUDIT_QUEUE_URL: urls["audit"],
        s.RESOLVE_QUEUE_URL: urls["resolve"],
        s.RECHECK_QUEUE_URL: urls["recheck"],
        **given,
    }
    text = json.dumps({setting.name: value for setting, value in settings.items()})
    clients.write("ssm", "put_parameter", Name=f"/{name}/settings", Type="String", Value=text)
    if schema_text is not None:
        clients.write(
            "ssm",
            "put_parameter",
            Name=f"/{name}/schema",
            Type="String",
            Tier="Intelligent-Tiering",
            Value=schema_text,
        )
    _wait_for_stream(clients, f"{name}-updates")
    return f"aws://{clients.region}/{name}"


def _make_table(clients: Clients, name: str, hash_key: str, range_key: str, *, images: bool) -> None:
    stream: dict[str, Any] = (
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}} if images else {}
    )
    clients.write(
        "dynamodb",
        "create_table",
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (hash_key, range_key)],
        KeySchema=[
            {"AttributeName": hash_key, "KeyType": "HASH"},
            {"AttributeName": range_key, "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
        **stream,
    )


def _make_queue(clients: Clients, name: str) -> str:
    """A queue and its dead-letter queue; the queue's URL."""
    dead = clients.write("sqs", "create_queue", QueueName=f"{name}-dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": _arn(clients, dead), "maxReceiveCount": RECEIVES_MAX}
    made = clients.write("sqs", "create_queue", QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})
    return str(made["QueueUrl"])


def _arn(clients: Clients, url: str) -> str:
    answer = clients.read("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def _let_in(clients: Clients, topic: str, url: str) -> None:
    """Allow a topic, and no other, to send to a queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": _arn(clients, url),
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    clients.write("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})


def _subscribe(clients: Clients, topic: str, url: str, policy: Mapping[str, list[str]]) -> None:
    attributes = {"RawMessageDelivery": "true"} | ({"FilterPolicy": json.dumps(policy)} if policy else {})
    clients.write(
        "sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=_arn(clients, url), Attributes=attributes
    )


def _wait_for_stream(clients: Clients, name: str) -> None:
    for tries in range(WAIT_TRIES_MAX):
        answer = clients.read("kinesis", "describe_stream_summary", StreamName=name)
        if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
            return
        clients.pause(tries)
    raise Unavailable(f"the stream {name} does not become active")
