"""The functions of queues: what is deleted, what comes again, message by message."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from aws.cloud import Cloud, Told
from aws.envelopes import sqs_event
from playerstate.aws.consuming import STUMBLES_MAX, Consuming, body_of
from playerstate.aws.event_queue import EventQueue
from playerstate.backends.aws.emf import BATCH_FAILURES
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.groups import Wants
from playerstate.core.model import Key
from playerstate.core.wire import encode_call
from playerstate.errors import InvalidUpdate, InvariantViolated, OutcomeUnknown, Unavailable
from playerstate.ports.queue import Message
from playerstate.runtime.messages import MESSAGES_MAX, NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.stages.project import Group, Project
from playerstate.stages.resolve import Resolve
from stages.world import REGION, add, update

DONE: dict[str, list[Any]] = {"batchItemFailures": []}


class Queued(Cloud):
    """A cloud whose audit is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.event_queue = EventQueue()
        consumer = QueueConsumer(
            "audit", self.event_queue, self.record.handle, self.dead_letters, self.clock, form=NOTICES_AND_DELIVERIES
        )
        self.auditing = Consuming(self.event_queue, consumer, body_of(None), self.told)

    def messages(self) -> list[Message]:
        """What the audit is told of three updates, each in a message of its own."""
        told = MemoryQueue(self.clock, Random(0))
        for n in range(3):
            self.put_updates(update({"op": "add", "n": 1, "player_id": f"player-{n}"}))
        self.run_apply()
        one_by_one = Project(self.schema, REGION, self.store, self.cache, [Group(told, Wants.EVERYTHING)], self.clock)
        for change in self.changes():
            one_by_one.handle([change])
        return told.receive(10, visibility_s=60)


def failed(response: Any) -> list[str]:
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def test_messages_are_handled_and_done_with() -> None:
    """A whole event goes through the consumer, and nothing comes again."""
    cloud = Queued()
    assert cloud.auditing(sqs_event(cloud.messages())) == DONE
    assert cloud.audit.count() == 3


@pytest.mark.parametrize("error", [Unavailable("no"), OutcomeUnknown("perhaps")])
def test_messages_come_again_while_the_sink_is_away(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was not taken is named, and taken the next time, once."""
    cloud = Queued()
    messages = cloud.messages()

    def away(_: Any) -> None:
        raise error

    monkeypatch.setattr(cloud.audit, "append", away)
    assert sorted(failed(cloud.auditing(sqs_event(messages)))) == sorted(message.receipt for message in messages)
    monkeypatch.undo()
    for _ in range(2):
        assert cloud.auditing(sqs_event(messages)) == DONE
    assert cloud.audit.count() == 3
    assert cloud.told.total(BATCH_FAILURES) == 1 + STUMBLES_MAX


def test_what_was_taken_before_a_failure_does_not_come_again() -> None:
    """Of an event larger than a step, the steps that were done are done with."""
    handled: list[Any] = []

    def handle(notices: Sequence[Any]) -> int:
        if handled:
            raise Unavailable("the second step finds nobody")
        handled.extend(notices)
        return len(notices)

    cloud = Queued()
    body = cloud.messages()[0].body
    queue = EventQueue()
    consumer = QueueConsumer("link", queue, handle, cloud.dead_letters, cloud.clock)
    function = Consuming(queue, consumer, body_of(None), Told())
    many = [Message(f"m{n}", body, 1) for n in range(MESSAGES_MAX + 5)]
    assert failed(function(sqs_event(many))) == [f"m{n}" for n in range(MESSAGES_MAX, MESSAGES_MAX + 5)]


def test_garbage_becomes_a_letter_and_is_done_with() -> None:
    """A message that is none is put aside, and the others are handled."""
    cloud = Queued()
    messages = [*cloud.messages(), Message("bad", b"no notice", 1)]
    assert cloud.auditing(sqs_event(messages)) == DONE
    assert cloud.audit.count() == 3
    assert [letter.body for letter in cloud.dead_letters.list()] == [b"no notice"]


def test_poison_is_put_aside_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice that the stage has a fault with becomes a letter; those beside it are recorded."""
    cloud = Queued()
    append = cloud.audit.append

    def poisoned(transitions: Any) -> None:
        if any(transition.player_id == "player-1" for transition in transitions):
            raise KeyError("a fault")
        append(transitions)

    monkeypatch.setattr(cloud.audit, "append", poisoned)
    assert cloud.auditing(sqs_event(cloud.messages())) == DONE
    assert cloud.audit.count() == 2
    assert cloud.dead_letters.count() == 1


def test_a_message_that_fails_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it, a part that does not take it or a promise that is broken: it alone comes again."""
    for error in (Unavailable("not this one"), InvariantViolated("two truths")):
        cloud = Queued()
        messages = cloud.messages()
        append = cloud.audit.append

        def choosy(transitions: Any, append: Any = append, error: Exception = error) -> None:
            if any(transition.player_id == "player-1" for transition in transitions):
                raise error
            append(transitions)

        monkeypatch.setattr(cloud.audit, "append", choosy)
        (left,) = failed(cloud.auditing(sqs_event(messages)))
        assert b"player-1" in next(message.body for message in messages if message.receipt == left)
        assert cloud.audit.count() == 2


def test_a_part_that_is_away_is_not_asked_for_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few failures in a row the rest is left for the next delivery."""
    cloud = Queued()
    body = cloud.messages()[0].body
    asked = []

    def away(_: Any) -> None:
        asked.append(1)
        raise Unavailable("no")

    monkeypatch.setattr(cloud.audit, "append", away)
    many = [Message(f"m{n}", body, 1) for n in range(10)]
    assert failed(cloud.auditing(sqs_event(many))) == [f"m{n}" for n in range(10)]
    assert len(asked) == 1 + STUMBLES_MAX


def test_a_body_elsewhere_that_cannot_be_had_comes_again_alone() -> None:
    """The others of the event are handled."""

    class Away:
        def put(self, body: bytes) -> str:
            raise Unavailable("no bucket")

        def get(self, name: str) -> bytes | None:
            raise Unavailable("no bucket")

    cloud = Queued()
    consumer = cloud.auditing._consumer
    auditing = Consuming(cloud.event_queue, consumer, body_of(Away()), cloud.told)
    event = sqs_event([*cloud.messages(), Message("elsewhere", b"messages/abc", 1)])
    event["Records"][-1]["messageAttributes"] = {"encoding": {"stringValue": "elsewhere", "dataType": "String"}}
    assert failed(auditing(event)) == ["elsewhere"]
    assert cloud.audit.count() == 3


def test_half_a_character_is_no_fault() -> None:
    """JSON may bring a lone surrogate; such a message is none, and becomes a letter."""
    cloud = Queued()
    event = sqs_event([Message("m1", b"x", 1)])
    event["Records"][0]["body"] = "\ud800"
    assert cloud.auditing(event) == DONE
    assert cloud.dead_letters.count() == 1


def test_an_event_of_another_source_fails_the_call() -> None:
    """A mapping that leads to the wrong function is seen at once."""
    with pytest.raises(InvalidUpdate):
        Queued().auditing({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]})


def test_resolve_sends_what_changed_to_its_own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent by a consumer goes to the queue behind the event, and is not taken for a part of the event."""
    cloud = Queued()
    behind = MemoryQueue(cloud.clock, Random(0))
    queue = EventQueue(behind)
    stage = Resolve(cloud.schema, REGION, cloud.store, cloud.clock)
    consumer = ResolveConsumer(queue, stage, None, cloud.dead_letters, cloud.clock)
    key = Key("ada", "gold")
    monkeypatch.setattr(stage, "handle", stage_result)
    function = Consuming(queue, consumer, body_of(None), cloud.told)
    assert function(sqs_event([Message("m1", encode_call(key), 1)])) == DONE
    assert behind.depth() == 1


def stage_result(keys: Sequence[Key]) -> Any:
    from playerstate.stages.resolve import Resolved

    return Resolved(0, list(keys), {})


def test_link_follows() -> None:
    """The stage of a consumer group is the same as elsewhere: edges are there when the event is done with."""
    cloud = Queued()
    cloud.put_updates(update({"op": "add", "state_key": "friends", "elements": ["bob"]}), add(1))
    cloud.run_apply()
    cloud.run_project()
    queue = EventQueue()
    consumer = QueueConsumer("link", queue, cloud.link.handle, cloud.dead_letters, cloud.clock)
    function = Consuming(queue, consumer, body_of(None), cloud.told)
    messages = cloud.queues["link"].receive(10, visibility_s=60)
    assert function(sqs_event(messages)) == DONE
    assert cloud.graph.edges(Key("ada", "friends")) == (1, ["bob"])
