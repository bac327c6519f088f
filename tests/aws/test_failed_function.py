"""The failure path of streams: nothing that a mapping has given up is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws.cloud import Cloud
from aws.envelopes import dynamodb_event, kinesis_event, sqs_event
from playerstate.aws.failed import Failed
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.ports.queue import Message
from stages.world import add, records


def object_of(payload: Any) -> bytes:
    """An object as a mapping writes it."""
    info = {"shardId": "shardId-000000000000", "batchSize": len(payload["Records"])}
    return json.dumps({"version": "1.0", "KinesisBatchInfo": info, "payload": json.dumps(payload)}).encode()


def told(key: str = "2026/11/27/a+b") -> dict[str, Any]:
    """The queue's event about what S3 has told it of an object."""
    record = {"eventSource": "aws:s3", "s3": {"bucket": {"name": "given-up"}, "object": {"key": key}}}
    return sqs_event([Message(f"about-{key}", json.dumps({"Records": [record]}).encode(), 1)])


def failing(cloud: Cloud, objects: dict[str, bytes]) -> Failed:
    return Failed(lambda _, key: objects.get(key), cloud.projecting, cloud.dead_letters, cloud.clock, cloud.told)


def test_updates_become_letters_that_can_be_sent_again() -> None:
    """Each record is a letter with its body, once however often it is told of."""
    cloud = Cloud()
    cloud.put_updates(add(5), add(2, sequence=2))
    failed = failing(cloud, {"2026/11/27/a b": object_of(kinesis_event(records(cloud)))})
    for _ in range(2):
        failed(told())
    letters = cloud.dead_letters.list()
    assert [letter.code for letter in letters] == ["given_up", "given_up"]
    cloud.checkpoints.save("apply", cloud.stream.head())  # the mapping has gone on
    calls = cloud.calls(on_accepted=cloud.step_all)
    for letter in letters:
        calls.send_again(letter.letter_id)
    assert cloud.dead_letters.count() == 0
    assert cloud.value("ada", "gold") == 7


def test_changes_are_projected_once_more() -> None:
    """The cache comes up to them, also after later ones."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    failing(cloud, {"k": object_of(dynamodb_event(cloud.changes()))})(told("k"))
    assert cloud.value("ada", "gold") == 5


def test_an_outage_has_the_event_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is taken in when the cache is back."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    failed = failing(cloud, {"k": object_of(dynamodb_event(cloud.changes()))})

    def away(_: Any) -> Any:
        raise Unavailable("the cache is away")

    monkeypatch.setattr(cloud.cache, "put", away)
    assert failed(told("k")) == {"batchItemFailures": [{"itemIdentifier": "about-k"}]}
    monkeypatch.undo()
    assert failed(told("k")) == {"batchItemFailures": []}
    assert cloud.value("ada", "gold") == 5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"payload": "x"}',
        b'{"payload": "{}"}',
        b'{"payload": {"Records": [1]}}',
        object_of(sqs_event([Message("m", b"x", 1)])),
    ],
)
def test_other_objects_come_again_and_hold_up_nothing(body: bytes) -> None:
    """Something that no mapping has written ends in the dead-letter queue; what stands beside it is taken in."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    failed = failing(cloud, {"k": body, "good": object_of(kinesis_event(records(cloud)))})
    both = {"Records": [*told("k")["Records"], *told("good")["Records"]]}
    assert failed(both) == {"batchItemFailures": [{"itemIdentifier": "about-k"}]}
    assert cloud.dead_letters.count() == 1


def test_messages_of_s3_that_name_nothing() -> None:
    """S3 tries a queue when it is told of it; what is no message of S3's comes again."""
    failed = failing(Cloud(), {})
    tried = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "given-up"}).encode()
    assert failed(sqs_event([Message("m1", tried, 1)])) == {"batchItemFailures": []}
    assert failed(sqs_event([Message("m1", b"hello", 1)])) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_an_object_that_is_gone_is_said() -> None:
    """There is nothing to do about it, and trying again cannot help."""
    failing(Cloud(), {})(told("k"))


def test_an_update_that_was_applied_is_not_sent_twice() -> None:
    """A mapping may give up what had its effect: sending its letter again is refused."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    failing(cloud, {"k": object_of(kinesis_event(records(cloud)))})(told("k"))
    cloud.run_apply()
    cloud.run_project()
    (letter,) = cloud.dead_letters.list()
    cloud.checkpoints.save("apply", cloud.stream.head())
    calls = cloud.calls(on_accepted=cloud.step_all)
    with pytest.raises(InvalidUpdate):
        calls.send_again(letter.letter_id)
    cloud.step_all()
    assert cloud.value("ada", "gold") == 5
