"""The thin audit record in Timestream for LiveAnalytics: what it writes, and what becomes of what is rejected."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws
from moto.timestreamwrite.models import timestreamwrite_backends
from msgspec import structs
from structlog.testing import capture_logs

from builders import KEY, NOW_MS, cause, transition
from conformance.audit_deliveries import delivery
from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.timestream import CUT, RECORD_BYTES_MAX, RECORDS_MAX, TimestreamAudit
from playerstate.core.model import Outcome, Status, Transition
from playerstate.errors import NotOffered, SlowDown, Unavailable

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class Table:
    """A client of the service that keeps what it is given, but for what it is told to reject, or fail."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls: list[dict[str, Any]] = []

    def write_records(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if self.failures:
            raise self.failures.pop(0)
        return {}

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for call in self.calls for record in call["Records"]]

    def audit(self, **settings: Any) -> TimestreamAudit:
        clients = Clients("us-east-1", wait=lambda _: None)
        clients._clients["timestream-write"] = self
        return TimestreamAudit(clients, "game", "transitions", **settings)


def failure(code: str, status: int = 400, **said: Any) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **said}
    return ClientError(response, "WriteRecords")


def measures(record: dict[str, Any]) -> dict[str, str]:
    return {measure["Name"]: measure["Value"] for measure in record["MeasureValues"]}


def size(record: dict[str, Any], kind: str) -> int:
    """What the service counts: a time and a number are 8 bytes."""
    told = [(pair["Name"], pair["Value"]) for pair in record["Dimensions"]]
    told += [(m["Name"], "8 bytes." if m["Type"] == "BIGINT" else m["Value"]) for m in record["MeasureValues"]]
    return 8 + len(kind) + sum(len(name.encode()) + len(value.encode()) for name, value in told)


@pytest.fixture
def emulated() -> Iterator[Clients]:
    """The service as moto has it, found by endpoint discovery, as the real one is."""
    with mock_aws():
        clients = Clients("us-east-1", **CREDENTIALS)
        clients.write("timestream-write", "create_database", DatabaseName="game")
        clients.write("timestream-write", "create_table", DatabaseName="game", TableName="transitions")
        yield clients


def test_written_through_the_real_client(emulated: Clients) -> None:
    """The calls have the form that botocore and the service want."""
    audit = TimestreamAudit(emulated, "game", "transitions")
    audit.append([transition(n, written_at=NOW_MS + n) for n in range(1, 2 * RECORDS_MAX + 2)])
    audit.note([delivery(1)])
    (account,) = timestreamwrite_backends.values()
    records = account["us-east-1"].databases["game"].tables["transitions"].records
    assert len(records) == 2 * RECORDS_MAX + 2
    assert [measures(record)["version"] for record in records[:3]] == [f"eu-west-1:{n}" for n in (1, 2, 3)]


def test_a_record() -> None:
    """What is written of a transition, and of a delivery."""
    causes = [cause(4), structs.replace(cause(5, producer="game-2"), status=Status.REFUSED, reason="insufficient")]
    table = Table()
    table.audit().append([transition(4, before=b"10", after=b"[11]", causes=causes, epoch=2)])
    table.audit().note([structs.replace(delivery(7), outcome=Outcome(Status.EXPIRED))])
    written, came = table.records
    dimensions = {pair["Name"]: pair["Value"] for pair in written["Dimensions"]}
    assert dimensions == {"player_id": "anna", "state_key": "gold", "region": "eu-west-1"}
    assert measures(written) == {
        "first": "4",
        "last": "5",
        "epoch": "2",
        "version": "eu-west-1:5",
        "before_version": "eu-west-1:3",
        "causes": "game-1/4:applied game-2/5:refused:insufficient",
        "before": "10",
        "after": "[11]",
    }
    assert int(written["Time"]) // 1_000_000 == NOW_MS
    assert measures(came) | {"outcome": "expired", "duplicate": "false", "position": "7"} == measures(came)
    common = [call["CommonAttributes"] for call in table.calls]
    assert [one["MeasureName"] for one in common] == ["transition", "delivery"]
    assert all(one["MeasureValueType"] == "MULTI" and one["TimeUnit"] == "NANOSECONDS" for one in common)


def test_the_same_again_is_the_same_record() -> None:
    """So that repeating changes nothing; and a call never has two of one name, which the service would reject."""
    table = Table()
    both = [transition(1), transition(2)]
    for _ in range(2):
        table.audit().append([*both, transition(1)])
    first, second = [call["Records"] for call in table.calls]
    assert first == second
    assert len({record["Time"] for record in first}) == len(first) == 2


LONG = "x" * 5_000


@pytest.mark.parametrize("before", ["1", "12345", f'"{LONG}"', '"' + "玩" * 4_000 + '"'])
@pytest.mark.parametrize("after", ["1", f'"{LONG}"', '"' + "\U0001f600" * 2_000 + '"'])
@pytest.mark.parametrize("name", ["a", "\U0001f600" * 128])
def test_a_record_fits(before: str, after: str, name: str) -> None:
    """However long names, values, versions and causes are; what is cut says so, and nothing is that need not be."""
    one = structs.replace(
        transition(1, player_id=name, state_key=name, region="r" * 64, causes=[cause(n) for n in range(1, 65)]),
        before_version=",".join(f"region-{n}:1" for n in range(40)),
    )
    one = structs.replace(
        one, before=transition(before=before.encode()).before, after=transition(after=after.encode()).after
    )
    table = Table()
    table.audit().append([one])
    (record,) = table.records
    found = measures(record)
    for name_, whole in (("before", before), ("after", after)):
        assert found[name_] == whole or (found[name_].endswith(CUT) and whole.startswith(found[name_][: -len(CUT)]))
        assert len(found[name_].encode()) <= 2_048
    assert size(record, "transition") <= RECORD_BYTES_MAX
    if len(before) + len(after) < 20:
        assert (found["before"], found["after"]) == (before, after)
    else:
        assert size(record, "transition") > RECORD_BYTES_MAX - 12


def test_nothing_empty_is_written() -> None:
    """The service takes no empty text."""
    table = Table()
    table.audit().append([Transition("p", "k", "r", 0, 0, NOW_MS, "", "r:1", *[transition().before] * 2, causes=[])])
    assert "" not in measures(table.records[0]).values()


def test_rejected_records_are_told_and_the_others_kept() -> None:
    """The call is done: what was rejected would be again. What is there already is no loss."""
    rejected = [
        {"RecordIndex": 0, "Reason": "anna is too old"},
        {"RecordIndex": 1, "Reason": "x", "ExistingVersion": 1},
    ]
    table = Table(failure("RejectedRecordsException", 419, RejectedRecords=rejected))
    audit = table.audit()
    with capture_logs() as logs:
        audit.append([transition(n, written_at=NOW_MS + n) for n in range(1, RECORDS_MAX + 3)])
    assert [len(call["Records"]) for call in table.calls] == [RECORDS_MAX, 2]
    assert audit.rejected == 1
    assert [(line["records"], line["there_already"], line["of"]) for line in logs] == [(1, 1, RECORDS_MAX)]
    assert "anna" not in repr(logs)


@pytest.mark.parametrize(
    "passing",
    [failure("ThrottlingException"), failure("InternalServerException", 500), ReadTimeoutError(endpoint_url="x")],
)
def test_what_may_pass_is_tried_again(passing: Exception) -> None:
    """Throttling, faults of the service, and answers that do not come: writing again changes nothing."""
    table = Table(passing, passing)
    table.audit().append([transition(1)])
    assert len(table.calls) == 3


def test_tries_are_bounded() -> None:
    """A service that throttles for ever is given up, and so is one that refuses the call."""
    table = Table(*[failure("ThrottlingException")] * 99)
    with pytest.raises(SlowDown):
        table.audit().append([transition(1)])
    assert len(table.calls) == TRIES_MAX
    with pytest.raises(Unavailable):
        Table(failure("ResourceNotFoundException")).audit().append([transition(1)])


def test_nothing_to_write() -> None:
    """No records make no call, which the service would refuse."""
    table = Table()
    table.audit().append([])
    table.audit().note([])
    assert table.calls == []


def test_histories_are_told_elsewhere() -> None:
    """What a thin record cannot answer it refuses, and does not answer with nothing."""
    audit = Table().audit()
    calls = [
        partial(audit.history, "anna"),
        partial(audit.deliveries, "anna"),
        audit.count,
        audit.bytes,
        audit.complete_since,
        partial(audit.trim, NOW_MS, limit=1),
        partial(audit.trim_first, 1),
        partial(audit.erase, {KEY: 1}),
    ]
    for call in calls:
        with pytest.raises(NotOffered):
            call()


def test_erasing_waits_for_the_retention_where_that_was_agreed_to() -> None:
    """It is told in the log each time, without names."""
    with capture_logs() as logs:
        assert Table().audit(keeps_what_is_erased=True).erase({KEY: 1}) == 0
        assert Table().audit(keeps_what_is_erased=True).erase({}) == 0
    assert [line["keys"] for line in logs] == [1]
    assert "anna" not in repr(logs)
