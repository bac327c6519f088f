"""What AWS hands to functions: recorded envelopes are decoded, everything else is refused as what it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.envelopes import dynamodb_event, kinesis_event, sqs_event
from playerstate.aws.events import dynamodb_changes, failures, kinesis_records, s3_objects, sqs_messages
from playerstate.core.model import Key
from playerstate.errors import InvalidUpdate
from playerstate.ports.queue import Message
from playerstate.ports.store import Change
from playerstate.ports.stream import StreamRecord

DECODERS = {"kinesis": kinesis_records, "dynamodb": dynamodb_changes, "sqs": sqs_messages, "s3": s3_objects}


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded envelopes."""
    folder = os.environ.get("PLAYERSTATE_SAMPLE_DATA")
    if not folder:
        pytest.skip("PLAYERSTATE_SAMPLE_DATA names no recorded envelopes")
    return Path(folder) / "aws-events"


def envelope(recorded: Path, name: str) -> Any:
    return json.loads((recorded / name).read_bytes())


@pytest.mark.sample_data
def test_recorded_kinesis_envelopes(recorded: Path) -> None:
    """Data, sequence numbers and times come as they were recorded."""
    go = kinesis_records(envelope(recorded, "go-kinesis-event.json"))
    assert [(one.identifier, one.body, one.at) for one in go] == [
        ("49568167373333333333333333333333333333333333333333333333", b"Hello World", 1480641523477),
        ("49568167373333333334444444444444444444444444444444444444", b"Hello World", 1480841523477),
    ]
    powertools = kinesis_records(envelope(recorded, "powertools-kinesisStreamEvent.json"))
    assert [one.body for one in powertools] == [b"Hello, this is a test.", b"This is only a test."]
    assert all(one.content == StreamRecord(int(one.identifier), one.body) for one in [*go, *powertools])


@pytest.mark.sample_data
@pytest.mark.parametrize("name", ["go-dynamodb-event.json", "powertools-dynamoStreamEvent.json"])
def test_recorded_table_envelopes_are_of_other_tables(recorded: Path, name: str) -> None:
    """Records of tables that are not of rows are refused one by one, each with its place in the shard."""
    event = envelope(recorded, name)
    found = dynamodb_changes(event)
    assert [one.identifier for one in found] == [r["dynamodb"]["SequenceNumber"] for r in event["Records"]]
    assert all(isinstance(one.content, InvalidUpdate) and one.content.code == "not_a_row" for one in found)


@pytest.mark.sample_data
def test_recorded_queue_envelopes(recorded: Path) -> None:
    """Bodies, ids and counts of deliveries come as they were recorded, a dead-letter queue's too."""
    go = sqs_messages(envelope(recorded, "go-sqs-event.json"))
    assert [(one.message_id, one.body, one.attempt) for one in go] == [("MessageID_1", "Message Body", 2)]
    assert go[0].attributes["Attribute1"]["stringValue"] == "AttributeValue1"
    both = sqs_messages(envelope(recorded, "powertools-sqsEvent.json"))
    assert [one.body for one in both] == ["Test message.", '{"message": "foo1"}']
    assert [one.attempt for one in sqs_messages(envelope(recorded, "powertools-sqsDlqTriggerEvent.json"))] == [2]


@pytest.mark.sample_data
def test_envelopes_of_other_sources_are_refused(recorded: Path) -> None:
    """Each decoder refuses whole whatever is not of its source: its mapping is wrong."""
    belongs = {
        "go-kinesis-event.json": "kinesis",
        "powertools-kinesisStreamEvent.json": "kinesis",
        "go-dynamodb-event.json": "dynamodb",
        "powertools-dynamoStreamEvent.json": "dynamodb",
        "go-sqs-event.json": "sqs",
        "powertools-sqsEvent.json": "sqs",
        "powertools-sqsDlqTriggerEvent.json": "sqs",
        "go-sns-event.json": "",
        "powertools-eventBridgeEvent.json": "",
    }
    files = {path.name for path in recorded.glob("*.json")} - {"go-dynamodb-event-malformed.2.json"}
    assert files == set(belongs)
    for name, source in belongs.items():
        for decoder, decode in DECODERS.items():
            if decoder == source:
                decode(envelope(recorded, name))
            else:
                with pytest.raises(InvalidUpdate) as refused:
                    decode(envelope(recorded, name))
                assert refused.value.code == "wrong_event"


@pytest.mark.sample_data
def test_the_hostile_envelope_is_no_json(recorded: Path) -> None:
    """Lambda would hand over no event at all of it, and what somebody hands over as text is refused."""
    text = (recorded / "go-dynamodb-event-malformed.2.json").read_bytes()
    with pytest.raises(ValueError):
        json.loads(text)
    for decode in DECODERS.values():
        for event in (text, text.decode()):
            with pytest.raises(InvalidUpdate):
                decode(event)


def test_data_that_is_no_base64_is_that_records_alone() -> None:
    """One record that cannot be read stands among the others as a refusal, with what it brought."""
    event = kinesis_event([StreamRecord(1, b"a"), StreamRecord(2, b"b")])
    event["Records"][0]["kinesis"]["data"] = "%%%"
    bad, good = kinesis_records(event)
    assert isinstance(bad.content, InvalidUpdate)
    assert bad.body == b"%%%"
    assert good.content == StreamRecord(2, b"b")


def test_round_trips() -> None:
    """What is put into an envelope comes out of it."""
    change = Change(7, Key("ada", "gold"), "local", b"old", b"new")
    assert [one.content for one in dynamodb_changes(dynamodb_event([change]))] == [change]
    assert [one.body for one in sqs_messages(sqs_event([Message("m1", b"body", 3)]))] == ["body"]
    objects = {"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}, "object": {"key": "a%2Fb+c"}}}]}
    assert s3_objects(objects) == [("b", "a/b c")]
    assert failures(["1"]) == {"batchItemFailures": [{"itemIdentifier": "1"}]}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Records", "eventSource", "kinesis", "dynamodb", "s3", "data"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["kinesis", "dynamodb", "sqs", "s3"]), anything, anything)
def test_garbage_is_refused(source: str, event: Any, part: Any) -> None:
    """Whatever comes, it is decoded or refused; nothing else is raised."""
    record = {"eventSource": f"aws:{source}", source: part, "messageId": part, "body": part}
    for one in (event, {"Records": event}, {"Records": [event]}, {"Records": [record]}):
        for decode in DECODERS.values():
            try:
                decode(one)
            except InvalidUpdate:
                continue
