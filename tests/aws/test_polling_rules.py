"""The rules of AWS's event source mappings, as the tests' own pollers follow them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from aws.polling.batching import ENVELOPE_BYTES, due, lane_of
from aws.polling.destinations import Discarded, invocation_record, object_key
from aws.polling.entries import HASH_MAX, Entry, first_of
from aws.polling.invocation import Answered, FunctionError, call
from aws.polling.responses import done_of_stream, failed_of_queue
from aws.polling.retrying import After, Attempt, after_call, too_old
from aws.polling.settings import MappingSettings
from aws.polling.shards import Shards

SEQUENCES = ["9", "10", "11", "12"]


def entry(number: int, key: str = "anna", at: int = 0) -> Entry:
    return Entry(str(number), key, at, {})


BATCH = tuple(entry(number, at=number * 1000) for number in range(4))


def naming(*identifiers: object) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize("response", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_success(response: Any) -> None:
    """Nothing said is success, of streams and of queues."""
    assert done_of_stream(response, SEQUENCES, reports=True) == 4
    assert failed_of_queue(response, SEQUENCES, reports=True) == set()


@pytest.mark.parametrize(
    "response",
    [
        naming(""),
        naming(None),
        naming(10),
        naming("10", ""),
        naming("404"),
        naming("10", "404"),
        {"batchItemFailures": [{"messageId": "10"}]},
        {"batchItemFailures": ["10"]},
        {"batchItemFailures": "10"},
        ["10"],
        "done",
        "",
    ],
)
def test_whole_failure(response: Any) -> None:
    """What cannot be read, and an identifier that is not of the batch, is failure of all of it."""
    assert done_of_stream(response, SEQUENCES, reports=True) == 0
    assert failed_of_queue(response, SEQUENCES, reports=True) == set(SEQUENCES)


def test_the_lowest_sequence_wins() -> None:
    """By number and not by letter: from it on a stream's batch comes again, what lies before is done with."""
    assert done_of_stream(naming("12", "10"), SEQUENCES, reports=True) == 1
    assert done_of_stream(naming("9"), SEQUENCES, reports=True) == 0
    assert first_of(["100", "99"]) == "99"


def test_a_queue_keeps_what_has_failed_and_no_more() -> None:
    """Messages have no order: each stands for itself."""
    assert failed_of_queue(naming("12", "10"), SEQUENCES, reports=True) == {"10", "12"}


def test_answers_mean_nothing_without_reports() -> None:
    """A mapping without `ReportBatchItemFailures` takes every answer for success."""
    assert done_of_stream(naming("9"), SEQUENCES, reports=False) == 4
    assert failed_of_queue(naming("9"), SEQUENCES, reports=False) == set()


def test_a_batch_that_fails_comes_again_without_limit() -> None:
    """Whole, and before anything behind it; -1 retries are as many as it takes."""
    attempt = Attempt(BATCH)
    for tries in range(1, 50):
        (attempt,) = after_call(attempt, 0, MappingSettings()).again
        assert attempt == Attempt(BATCH, tries, tries)


def test_success_and_partial_success() -> None:
    """Nothing is left of a batch that is done with; of one that is partly done, the rest."""
    assert after_call(Attempt(BATCH), 4, MappingSettings()) == After()
    assert after_call(Attempt(BATCH), 3, MappingSettings()) == After((Attempt(BATCH[3:], 1, 1),))


def test_retries_are_spent() -> None:
    """Two retries are three calls, and then the batch is discarded."""
    settings = MappingSettings(retry_attempts_max=2)
    attempt = Attempt(BATCH)
    for _ in range(2):
        (attempt,) = after_call(attempt, 0, settings).again
    assert after_call(attempt, 0, settings) == After(discarded=Attempt(BATCH, 3, 3))


def test_bisecting_finds_one_record_and_spends_no_retry() -> None:
    """A batch that fails is halved down to the record that cannot pass: that is discarded, the others pass in order."""
    settings = MappingSettings(retry_attempts_max=1, bisects_on_function_error=True)
    work, passed, gone = [Attempt(BATCH)], [], []
    while work:
        attempt = work.pop(0)
        bad = BATCH[2] in attempt.entries
        passed += [] if bad else attempt.entries
        after = after_call(attempt, 0 if bad else len(attempt.entries), settings)
        work = [*after.again, *work]
        gone += [after.discarded] if after.discarded else []
    assert passed == [BATCH[0], BATCH[1], BATCH[3]]
    assert [(attempt.entries, attempt.retries) for attempt in gone] == [((BATCH[2],), 2)]


def test_bisecting_at_what_a_response_names() -> None:
    """A partial response splits where it says, and spends no retry."""
    settings = MappingSettings(retry_attempts_max=0, bisects_on_function_error=True)
    assert after_call(Attempt(BATCH), 1, settings) == After((Attempt(BATCH[1:], 0, 1),))


def test_old_records_are_discarded() -> None:
    """Those beyond the age, from the first on; without a limit none is."""
    settings = MappingSettings(record_age_ms_max=5000)
    assert too_old(Attempt(BATCH), 5000, settings) == (None, Attempt(BATCH))
    assert too_old(Attempt(BATCH, 1), 7000, settings) == (Attempt(BATCH[:2], 1), Attempt(BATCH[2:], 1))
    assert too_old(Attempt(BATCH), 9000, settings) == (Attempt(BATCH), None)
    assert too_old(Attempt(BATCH), 10**9, MappingSettings()) == (None, Attempt(BATCH))


def test_a_batch_is_due_when_it_is_full() -> None:
    """By number, or by the payload, whatever the window; one record goes alone, however large it is."""
    settings = MappingSettings(batch_size_max=3, batching_window_ms=1000, payload_bytes_max=ENVELOPE_BYTES + 100)
    assert due([10, 10], 0, settings) == 0
    assert due([10, 10, 10], 0, settings) == 3
    assert due([10, 10, 10, 10], 0, settings) == 3
    assert due([60, 60], 0, settings) == 1
    assert due([50, 50, 1], 0, settings) == 2
    assert due([1000, 1], 0, settings) == 1


def test_a_batch_is_due_when_its_window_has_passed() -> None:
    """Without a window, at once."""
    settings = MappingSettings(batch_size_max=3, batching_window_ms=1000)
    assert due([10], 999, settings) == 0
    assert due([10], 1000, settings) == 1
    assert due([10, 10], 0, MappingSettings()) == 2


def test_lanes() -> None:
    """All of one key go one way, and not all keys the same."""
    hashes = [entry(1, f"player-{n}").hash for n in range(100)]
    assert [lane_of(h, 10) for h in hashes] == [lane_of(h, 10) for h in hashes]
    assert {lane_of(h, 10) for h in hashes} == set(range(10))
    assert {lane_of(h, 1) for h in hashes} == {0}


def test_shards_split_and_merge() -> None:
    """The open ones always share out all hash keys; a child is read once its parents, and theirs, are finished."""
    shards = Shards(2)
    first, second = shards.open
    shards.split(first)
    left, right = list(shards.open)[1:]
    shards.merge(right)
    (merged,) = set(shards.open) - {left}
    shards.roll(left)
    ranges = sorted((shard.first_hash, shard.last_hash) for shard in shards.open.values())
    assert ranges[0][0] == 0
    assert ranges[-1][1] == HASH_MAX
    assert all(one[1] + 1 == other[0] for one, other in pairwise(ranges))
    assert shards.all[merged].parents == (right, second)
    assert not shards.may_be_read(shards.all[merged], {right})
    assert shards.may_be_read(shards.all[merged], {right, second})
    assert shards.at(HASH_MAX).shard_id == merged


def test_the_last_shard_is_not_merged() -> None:
    """There is no neighbour to the right of the last."""
    shards = Shards(2)
    shards.merge(list(shards.open)[1])
    assert len(shards.open) == 2


def test_what_a_destination_is_told() -> None:
    """Where the records are, when they came, how often they were sent, and why no more."""
    discarded = Discarded("aws:kinesis", "arn:s", "shardId-1", BATCH[1:], "RetryAttemptsExhausted", 3, True, {})
    record = invocation_record(discarded, "id", 1_500)
    assert record == {
        "requestContext": {
            "requestId": "id",
            "functionArn": record["requestContext"]["functionArn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "1970-01-01T00:00:01.500Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-1",
            "startSequenceNumber": "1",
            "endSequenceNumber": "3",
            "approximateArrivalOfFirstRecord": "1970-01-01T00:00:01.000Z",
            "approximateArrivalOfLastRecord": "1970-01-01T00:00:03.000Z",
            "batchSize": 3,
            "streamArn": "arn:s",
        },
    }
    never_sent = discarded._replace(source="aws:dynamodb", calls=0)
    assert "responseContext" not in invocation_record(never_sent, "id", 0)
    assert "DDBStreamBatchInfo" in invocation_record(never_sent, "id", 0)


def test_names_of_objects() -> None:
    """By mapping, shard and day."""
    assert object_key("m", "shardId-1", 0, "u") == "aws/lambda/m/shardId-1/1970/01/01/1970-01-01T00.00.00-u"


def test_calls_pass_through_json() -> None:
    """A handler gets what JSON can say, and answers that; what it raises, or answers beyond that, is its error."""
    assert call(lambda event, _: {"got": event}, {"n": (1, 2)}) == Answered({"got": {"n": [1, 2]}})
    assert call(lambda _, __: b"bytes", {}) == FunctionError("TypeError")
    assert call(lambda _, context: context.get_remaining_time_in_millis(), {}) == Answered(60_000)

    def raises(event: object, _: object) -> None:
        raise KeyError(event)

    assert call(raises, {}) == FunctionError("KeyError")
