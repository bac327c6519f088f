"""Appending to Kinesis: a partition's order and what the caller is told hold, whatever part of a call fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from aws.kinesis_faults import FAULT, THROTTLED, Faulty, Log, clients_on, throttled_call, timed_out
from ministack import MiniStack
from playerstate.backends.aws.clients import TRIES_MAX
from playerstate.backends.aws.kinesis import (
    BYTES_PER_CALL_MAX,
    RECORDS_PER_CALL_MAX,
    KinesisStream,
    partition_key,
)
from playerstate.errors import NotNow, OutcomeUnknown, SlowDown, Unavailable
from playerstate.ports.stream import NewRecord


def records(*bodies: str) -> list[NewRecord]:
    """Records of the partition that is the first letter of each."""
    return [NewRecord(body[:1], body.encode()) for body in bodies]


def taken(size: int) -> list[str]:
    return [""] * size


def stream_on(client: Any) -> KinesisStream:
    return KinesisStream(clients_on(client), "updates")


def first_times(log: Log) -> dict[str, list[bytes]]:
    """Each partition's records in the order in which they first stood on the stream."""
    found: dict[str, list[bytes]] = {}
    for partition, body in log.records:
        line = found.setdefault(partition, [])
        if body not in line:
            line.append(body)
    return found


fates = st.lists(
    st.sampled_from(["", "", "", "", THROTTLED, FAULT, "FAULT+", "times out", "times out late", "throttled"]),
    max_size=60,
)


@given(bodies=st.lists(st.sampled_from("abc"), min_size=1, max_size=12), fates=fates, always=st.booleans())
def test_order_and_answer_under_failures(bodies: list[str], fates: list[str], always: bool) -> None:
    """Promises 1, 7 and 11: whatever fails, no call holds two records of one partition, and a record stands on the
    stream only behind all that come before it in its partition. Who is told that nothing was appended finds nothing
    there; who is told the position finds everything there.
    """
    given_records = records(*[f"{partition}{n}" for n, partition in enumerate(bodies)])
    ahead = iter(fates * (50 if always else 1))

    def fate(_: int, size: int) -> tuple[Exception, bool] | Sequence[str]:
        codes = [next(ahead, "") for _ in range(size)]
        for code, error, takes_effect in (
            ("times out", timed_out(), False),
            ("times out late", timed_out(), True),
            ("throttled", throttled_call(), False),
        ):
            if code in codes:
                return error, takes_effect
        return codes

    log = Log()
    faulty = Faulty(log, fate)
    expected = {
        partition: [record.body for record in given_records if record.partition == partition] for partition in bodies
    }
    try:
        position = stream_on(faulty).append(given_records)
    except NotNow:
        assert log.records == []
    except OutcomeUnknown:
        pass
    else:
        assert first_times(log) == expected
        assert log.records[position - 1] == given_records[-1]
    for call in faulty.calls:
        assert len({partition for partition, _ in call}) == len(call)
    for partition, line in first_times(log).items():
        assert line == expected[partition][: len(line)]


def test_the_failed_do_not_hold_up_others() -> None:
    """Everything of the other partitions is sent before a record that failed is tried again."""
    log = Log()
    faulty = Faulty(log, lambda n, size: [THROTTLED, *taken(size - 1)] if n == 0 else taken(size))
    stream_on(faulty).append(records("a1", "b1", "b2", "a2", "b3"))
    assert [body for _, body in log.records] == [b"b1", b"b2", b"b3", b"a1", b"a2"]


@pytest.mark.parametrize(
    ("code", "taken_too", "expected"),
    [
        (THROTTLED, False, SlowDown),
        (THROTTLED, True, OutcomeUnknown),
        (FAULT, False, OutcomeUnknown),
        (FAULT, True, OutcomeUnknown),
    ],
)
def test_tries_are_bounded(code: str, taken_too: bool, expected: type[Exception]) -> None:
    """A record that fails for ever ends the call: as a definite no only if nothing at all was taken."""
    log = Log()
    stuck = Faulty(log, lambda n, size: [code, *taken(size - 1)])
    with pytest.raises(expected):
        stream_on(stuck).append(records("a1", "a2", *(["b1"] if taken_too else [])))
    assert [sum((body == b"a1") for _, body in call) for call in stuck.calls] == [1] * TRIES_MAX
    assert first_times(log) == ({"b": [b"b1"]} if taken_too else {})


def test_what_a_later_result_of_the_same_answer_says_counts() -> None:
    """A last try that fails beside a record that is taken at last leaves something on the stream."""
    answers = [[THROTTLED, THROTTLED]] * (TRIES_MAX - 1) + [[THROTTLED, ""]]
    log = Log()
    with pytest.raises(OutcomeUnknown):
        stream_on(Faulty(log, lambda n, size: answers[n])).append(records("a1", "b1"))
    assert log.records == [("b", b"b1")]


def test_a_call_that_is_refused() -> None:
    """Nobody took anything, and trying again at once was no use."""
    log = Log()
    with pytest.raises(SlowDown):
        stream_on(Faulty(log, lambda n, size: (throttled_call(), False))).append(records("a1", "b1"))
    with pytest.raises(OutcomeUnknown):
        stream_on(Faulty(log, lambda n, size: taken(size) if n == 0 else (throttled_call(), False))).append(
            records("a1", "a2")
        )


def test_calls_keep_within_the_limits() -> None:
    """At most so many records and bytes a call, keys included; everything is sent."""
    log = Log()
    faulty = Faulty(log, lambda n, size: taken(size))
    many = [NewRecord(f"player {n}", b"x") for n in range(2 * RECORDS_PER_CALL_MAX + 1)]
    stream_on(faulty).append(many)
    assert [len(call) for call in faulty.calls] == [RECORDS_PER_CALL_MAX, RECORDS_PER_CALL_MAX, 1]
    faulty.calls.clear()
    large = [NewRecord(f"ü{n}" * 40, bytes(1024 * 1024)) for n in range(11)]
    stream_on(faulty).append(large)
    sizes = [sum(len(key.encode()) + len(body) for key, body in call) for call in faulty.calls]
    assert max(sizes) <= BYTES_PER_CALL_MAX
    assert [len(call) for call in faulty.calls] == [4, 4, 3]


def test_partition_keys() -> None:
    """A partition is its own key, and a digest of it where it would be too long."""
    assert partition_key("ü" * 256) == "ü" * 256
    assert len(partition_key("ü" * 257)) <= 256
    assert partition_key("a" * 257) != partition_key("a" * 258)


def test_nothing_to_append() -> None:
    """No record, no call."""
    faulty = Faulty(Log(), lambda n, size: taken(size))
    assert stream_on(faulty).append([]) == 0
    assert faulty.calls == []


def test_a_stream_that_is_not_there(ministack: MiniStack) -> None:
    """Nothing was appended."""
    with pytest.raises(Unavailable):
        KinesisStream(ministack.clients(), "nowhere").append(records("a1"))
