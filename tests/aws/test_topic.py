"""Fan-out over SNS: each notice is published once, and each group's subscription picks what it wants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aws.queues import NOISE, AwsQueue, arn_of, make_queue
from ministack import MiniStack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.overflow import S3Overflow
from playerstate.backends.aws.topic import SnsTopic
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.store import MemoryStore
from playerstate.core.groups import FILTER_POLICIES, Wants
from playerstate.core.model import Key
from playerstate.core.row import Row
from playerstate.core.schema import parse_schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import ROW_VERSION, decode_notices, encode_row
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.ports.store import Change
from playerstate.stages.project import Group, Project, fan_out

SCHEMA = parse_schema(
    """
    [game]
    name = "t"
    version = 1
    [keys.friends]
    type = "set"
    edge = { label = "FRIEND" }
    [keys.suspects]
    type = "set"
    published = false
    edge = { label = "SUSPECTS" }
    [keys.secret]
    type = "counter"
    published = false
    [keys.gold]
    type = "counter"
    [keys.rank]
    type = "register"
    """
)
HEARS = {
    Wants.EVERYTHING: {"friends", "suspects", "secret", "gold", "rank"},
    Wants.PUBLISHED: {"friends", "gold", "rank"},
    Wants.EDGES: {"friends", "suspects"},
}


class Published:
    """Remembers what is published, and publishes it."""

    def __init__(self, topic: SnsTopic, bodies: list[bytes]) -> None:
        self._topic = topic
        self._bodies = bodies

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        self._bodies += bodies
        self._topic.send(bodies)


def make_topic(clients: Clients, ministack: MiniStack) -> str:
    return clients.write("sns", "create_topic", Name=ministack.name("topic"))["TopicArn"]


def subscribe(clients: Clients, arn: str, queue: AwsQueue, policy: Mapping[str, Any]) -> None:
    attributes = {"RawMessageDelivery": "true"}
    if policy:
        attributes["FilterPolicy"] = json.dumps(policy)
    allowed = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": arn_of(clients, queue.url), "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
        }],
    }  # fmt: skip
    clients.write("sqs", "set_queue_attributes", QueueUrl=queue.url, Attributes={"Policy": json.dumps(allowed)})
    clients.write(
        "sns", "subscribe", TopicArn=arn, Protocol="sqs", Endpoint=arn_of(clients, queue.url), Attributes=attributes
    )


def drained(queue: AwsQueue) -> list[bytes]:
    """The bodies of all messages, in order of their text."""
    found = []
    while messages := queue.receive(40, visibility_s=30):
        found += [message.body for message in messages]
        queue.delete([message.receipt for message in messages])
    return sorted(found)


def change_of(number: int, state_key: str) -> Change:
    """The first write of a player's key, which leaves it empty."""
    spec = SCHEMA.keys[state_key]
    row = Row(ROW_VERSION, spec.type, 1, 0, 0, {"us": 1}, DATA_TYPES[spec.type].empty(), {}, [])
    return Change(number, Key(f"p{number}", state_key), "us", None, encode_row(row))


def project_to(groups: Sequence[Group]) -> Project:
    return Project(SCHEMA, "us", MemoryStore(), MemoryCache(), groups, ManualClock(), alone=True)


def test_each_group_gets_what_it_wants_once(ministack: MiniStack) -> None:
    """A notice is published once, and comes once to each group that wants its key, and to no other."""
    clients = ministack.clients()
    arn = make_topic(clients, ministack)
    queues = {wants: make_queue(ministack) for wants in Wants}
    for wants, queue in queues.items():
        subscribe(clients, arn, queue, FILTER_POLICIES[wants])
    published: list[bytes] = []
    groups = fan_out(SCHEMA, lambda attributes: Published(SnsTopic(clients, arn, attributes), published))
    project_to(groups).handle([change_of(n, key) for n in range(30) for key in SCHEMA.keys])
    told = Counter((n.player_id, n.state_key) for body in published for n in decode_notices(body))
    assert told == Counter((f"p{n}", key) for n in range(30) for key in SCHEMA.keys)
    assert len(published) == len(groups) == 4
    for wants, queue in queues.items():
        heard = Counter((n.player_id, n.state_key) for body in drained(queue) for n in decode_notices(body))
        assert heard == Counter((f"p{n}", key) for n in range(30) for key in HEARS[wants]), wants


def test_bodies_come_as_they_were_sent(ministack: MiniStack) -> None:
    """Text, bytes and what is too large for a message, more than a call takes; the filter's attributes go with each."""
    clients, bucket = ministack.clients(), ministack.name("overflow")
    clients.write("s3", "create_bucket", Bucket=bucket)
    overflow = S3Overflow(clients, bucket)
    arn = make_topic(clients, ministack)
    queue, other = make_queue(ministack, overflow=overflow), make_queue(ministack)
    subscribe(clients, arn, queue, {"edges": ["true"], "published": ["false"]})
    subscribe(clients, arn, other, {"published": ["true"]})
    bodies = [b"text", b"", b"\x00\xff", b"a" * 900_000, NOISE, *(b"%d" % n for n in range(20))]
    SnsTopic(clients, arn, {"edges": "true", "published": "false"}, overflow=overflow).send(bodies)
    assert drained(queue) == sorted(bodies)
    assert drained(other) == []


def test_what_cannot_be_published(ministack: MiniStack) -> None:
    """Nothing is, where one message is too large or should be delayed, or where there is no topic."""
    clients = ministack.clients()
    arn = make_topic(clients, ministack)
    queue = make_queue(ministack)
    subscribe(clients, arn, queue, {})
    topic = SnsTopic(clients, arn, {"edges": "true"})
    with pytest.raises(InvalidUpdate, match=r"\$\[1\]"):
        topic.send([b"small", NOISE])
    with pytest.raises(ValueError, match="delays"):
        topic.send([b"small"], delay_s=1)
    topic.send([])
    assert drained(queue) == []
    with pytest.raises(Unavailable):
        SnsTopic(clients, f"{arn}-that-is-not", {}).send([b"small"])
