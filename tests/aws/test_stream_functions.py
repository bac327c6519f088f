"""The functions of the streams: what is done, what comes again, what is put aside."""

from __future__ import annotations

from typing import Any

import pytest

from aws.cloud import Cloud
from aws.envelopes import dynamodb_event, kinesis_event
from playerstate.aws.projecting import AGAIN_AFTER_MS, _shown
from playerstate.backends.aws.emf import BATCH_FAILURES, DEAD_LETTERS, NOT_CHECKED, UPDATES, VIEWS_WRITTEN
from playerstate.core.lookups import decode_lookup
from playerstate.core.model import Key
from playerstate.errors import (
    InvalidUpdate,
    InvariantViolated,
    OutcomeUnknown,
    SlowDown,
    StartRefused,
    Unavailable,
)
from playerstate.ports.store import Change
from stages.world import NOW_MS, add, update

DONE: dict[str, list[Any]] = {"batchItemFailures": []}


def test_apply_and_project() -> None:
    """Updates go from the one event to the store, and from the other to the cache."""
    cloud = Cloud()
    cloud.put_updates(add(5), add(2, sequence=2))
    assert cloud.run_apply() == DONE
    assert cloud.run_project() == DONE
    assert cloud.value("ada", "gold") == 7
    assert cloud.told.total(UPDATES, "applied") == 2
    assert cloud.told.total(VIEWS_WRITTEN) == 1


@pytest.mark.parametrize("error", [Unavailable("no"), SlowDown("slowly"), OutcomeUnknown("perhaps")])
def test_a_batch_that_cannot_be_finished_comes_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first record, and what was done of it by then is not done twice."""
    cloud = Cloud()
    cloud.put_updates(add(5), update({"op": "add", "n": 3, "player_id": "bob"}, sequence=1))
    commit = cloud.store.commit

    def half_done(groups: Any) -> Any:
        commit(groups[:1])
        raise error

    monkeypatch.setattr(cloud.store, "commit", half_done)
    first = cloud.on_stream()[0].position
    assert cloud.run_apply() == {"batchItemFailures": [{"itemIdentifier": str(first)}]}
    monkeypatch.undo()
    assert cloud.run_apply() == DONE
    cloud.run_project()
    assert (cloud.value("ada", "gold"), cloud.value("bob", "gold")) == (5, 3)
    assert cloud.told.total(BATCH_FAILURES) == 1


def test_a_broken_promise_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply does not go on over what must never be; Lambda sees an error, and the shard waits."""
    cloud = Cloud()
    cloud.put_updates(add(5))

    def broken(_: Any) -> Any:
        raise InvariantViolated("two truths")

    monkeypatch.setattr(cloud.store, "load", broken)
    with pytest.raises(InvariantViolated):
        cloud.run_apply()


def test_bad_records_become_letters_and_hold_up_nothing() -> None:
    """Garbage in the data, data that is no base64: each a letter of its own, once however often it comes."""
    cloud = Cloud()
    cloud.put_on_stream(b"garbage")
    cloud.put_updates(add(5))
    event = kinesis_event(cloud.on_stream())
    event["Records"].append({**event["Records"][0], "kinesis": {**event["Records"][0]["kinesis"]}})
    event["Records"][2]["kinesis"] |= {"data": "%%%", "sequenceNumber": "99"}
    for _ in range(2):
        assert cloud.applying(event) == DONE
    assert sorted(letter.code for letter in cloud.dead_letters.list()) == ["not_a_record", "wrong_shape"]
    cloud.run_project()
    assert cloud.value("ada", "gold") == 5


def test_sequence_numbers_of_kinesis_fit() -> None:
    """Positions of 56 digits go all the way, also into what the audit is told of repeats."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    (record,) = cloud.on_stream()
    event = kinesis_event([record._replace(position=49590338271490256608559692538361571095921575989136588898)])
    assert cloud.applying(event) == DONE
    assert cloud.applying(event) == DONE
    consumer = cloud.consumers()[-1]
    while consumer.step():
        pass
    (delivery,) = cloud.audit.deliveries("ada")
    assert delivery.outcome.duplicate


def test_what_project_cannot_take_is_put_aside_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that cannot be read becomes a letter of its player's; all the others are shown."""
    cloud = Cloud()
    cloud.put_updates(add(5), update({"op": "add", "n": 3, "player_id": "bob"}))
    cloud.run_apply()
    changes = cloud.changes()
    changes.insert(1, Change(50, Key("eve", "gold"), "local", None, b"\xc1 no row"))
    assert cloud.projecting(dynamodb_event(changes)) == DONE
    assert cloud.projecting(dynamodb_event(changes)) == DONE
    (letter,) = cloud.dead_letters.list()
    assert letter.stage == "project"
    assert letter.identity is not None
    assert letter.identity.player_id == "eve"
    assert (cloud.value("ada", "gold"), cloud.value("bob", "gold")) == (5, 3)


def test_records_of_no_row_are_put_aside() -> None:
    """A row that somebody has deleted, and items that are none, are told, and hold up nothing."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    event = dynamodb_event(cloud.changes())
    gone = {**event["Records"][0], "eventName": "REMOVE", "dynamodb": {**event["Records"][0]["dynamodb"]}}
    gone["dynamodb"]["OldImage"] = gone["dynamodb"].pop("NewImage")
    gone["dynamodb"]["SequenceNumber"] = "77"
    event["Records"].insert(0, gone)
    assert cloud.projecting(event) == DONE
    assert [letter.code for letter in cloud.dead_letters.list()] == ["row_removed"]
    assert cloud.value("ada", "gold") == 5


def test_project_comes_again_while_the_cache_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is no poison: nothing is put aside, the batch comes again from its first record."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()

    def away(_: Any) -> Any:
        raise Unavailable("the cache is away")

    monkeypatch.setattr(cloud.cache, "put", away)
    first = cloud.changes()[0].position
    assert cloud.run_project() == {"batchItemFailures": [{"itemIdentifier": str(first)}]}
    assert cloud.dead_letters.count() == 0


def test_changes_are_handed_over_to_be_looked_up() -> None:
    """The latest change of each row, a second after it was made at the earliest."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    cloud.put_updates(add(2, sequence=2))
    cloud.run_apply()
    cloud.run_project()
    assert cloud.rechecks.receive(10, visibility_s=1) == []
    cloud.clock.advance(1_000)
    (message,) = cloud.rechecks.receive(10, visibility_s=1)
    (lookup,) = decode_lookup(message.body)
    assert [(shown.key, shown.version, shown.since) for shown in lookup.changes] == [
        (Key("ada", "gold"), "local:2", NOW_MS)
    ]


def test_changes_of_other_regions_count_from_when_they_may_have_come() -> None:
    """They were on their way here, and by another clock: it is not the cache that has kept them for more than 1 s."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    (change,) = cloud.changes()
    now, keys = NOW_MS + 3_000, cloud.schema.keys
    (own,) = _shown([change], keys, change.region, now)
    (others,) = _shown([change], keys, "elsewhere", now)
    (ahead,) = _shown([change], keys, "elsewhere", NOW_MS - 9_000)
    assert (own.since, others.since, ahead.since) == (NOW_MS, now - 1_000, NOW_MS - 9_000)


def test_a_queue_of_rechecks_that_is_away_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not looked up is counted."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()

    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("no queue")

    monkeypatch.setattr(cloud.rechecks, "send", away)
    assert cloud.run_project() == DONE
    assert cloud.told.total(NOT_CHECKED) == 1


def test_events_of_other_sources_fail_the_call() -> None:
    """A mapping that leads to the wrong function is seen at once."""
    cloud = Cloud()
    for function in (cloud.applying, cloud.projecting):
        with pytest.raises(InvalidUpdate):
            function({"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "x"}]})


def test_a_fault_of_the_function_is_no_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no change of several keys can be projected, nothing is put aside: the batch comes again."""
    cloud = Cloud()
    cloud.put_updates(*[update({"op": "add", "n": 1, "player_id": f"p{n}"}) for n in range(5)])
    cloud.run_apply()

    def broken(_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cloud.cache, "put", broken)
    first = cloud.changes()[0].position
    assert cloud.run_project() == {"batchItemFailures": [{"itemIdentifier": str(first)}]}
    assert cloud.dead_letters.count() == 0
    monkeypatch.undo()
    assert cloud.run_project() == DONE
    assert cloud.value("p3", "gold") == 1


def test_a_setting_that_is_wrong_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is nobody's poison either."""
    cloud = Cloud()
    cloud.put_updates(add(1))
    cloud.run_apply()

    def refused(_: Any) -> Any:
        raise StartRefused("the secret has no password")

    monkeypatch.setattr(cloud.cache, "put", refused)
    with pytest.raises(StartRefused):
        cloud.run_project()
    assert cloud.dead_letters.count() == 0


def test_what_was_deleted_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The letter of a record that is no change has the record, and is found with its player."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    event = dynamodb_event(cloud.changes())
    del event["Records"][0]["dynamodb"]["NewImage"]["body"]
    for _ in range(3):
        assert cloud.projecting(event) == DONE
    (letter,) = cloud.dead_letters.list()
    assert b"ada" in letter.body
    assert letter.identity is not None
    assert letter.identity[2:] == ("ada", "gold")
    assert cloud.told.total(DEAD_LETTERS) == 1


def test_a_queue_that_is_away_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that does not answer costs a time-out, and not at every batch."""
    cloud = Cloud()
    cloud.put_updates(add(5))
    cloud.run_apply()
    asked = []

    def away(*_: Any, **__: Any) -> Any:
        asked.append(1)
        raise Unavailable("no queue")

    monkeypatch.setattr(cloud.rechecks, "send", away)
    for _ in range(3):
        cloud.run_project()
    assert len(asked) == 1
    cloud.clock.advance(AGAIN_AFTER_MS)
    cloud.run_project()
    assert len(asked) == 2
