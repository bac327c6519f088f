"""The audit log as a thin record in Timestream for LiveAnalytics, for those who have it: it is closed to new customers.

A record takes 2 KB there, and nothing can be deleted. So what is written is what fits: whose row it is, versions,
times, which updates did it, and the values, cut short where they are long. Nobody is told histories from that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import structlog
from botocore.exceptions import ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.backends.aws.influx_text import time_ns
from playerstate.core.model import Cause, Delivery, Key, Transition
from playerstate.errors import NotNow, NotOffered
from playerstate.ports.audit import Trimmed

RECORDS_MAX = 100
"""How many records go into one call."""
RECORD_BYTES_MAX = 2_048
"""How much a record may take: its time, and the names and values of its dimensions and measures."""
VERSION_BYTES_MAX = 160
CAUSES_BYTES_MAX = 300
CUT = "…"
"""What a value ends with of which the rest did not fit."""
_TIME_BYTES = _NUMBER_BYTES = 8

Record: TypeAlias = dict[str, Any]
Pairs: TypeAlias = Sequence[tuple[str, str]]

log = structlog.get_logger(__name__)


class TimestreamAudit:
    """The part of an `Audit` that writes. Records are found by row, time and kind, and are all of one version: what is
    written again is the same, and changes nothing.

    What Timestream rejects for good, because of its age or of its form, is counted in `rejected` and told in the log;
    the others of the call are kept. `erase` cannot delete: it raises `NotOffered`, unless whoever runs this has said
    with `keeps_what_is_erased` that records of erased players may stay until the table's retention has passed.
    """

    def __init__(self, clients: Clients, database: str, table: str, *, keeps_what_is_erased: bool = False) -> None:
        self._clients = clients
        self._table = {"DatabaseName": database, "TableName": table}
        self._keeps_what_is_erased = keeps_what_is_erased
        self.rejected = 0

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions. Raises `NotNow`, after which some of them may be there."""
        self._write("transition", [_transition(one) for one in transitions])

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries that did nothing, however many of an update. Raises `NotNow`, as above."""
        self._write("delivery", [_delivery(one) for one in deliveries])

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Raise `NotOffered`, or leave it to the table's retention and say so in the log."""
        if not self._keeps_what_is_erased:
            raise NotOffered("Timestream for LiveAnalytics deletes nothing before its retention has passed")
        if epochs:
            log.warning("records of erased keys stay in Timestream until they are too old", keys=len(epochs))
        return 0

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Transition]:
        """Raise `NotOffered`."""
        raise _thin()

    def deliveries(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """Raise `NotOffered`."""
        raise _thin()

    def count(self) -> int:
        """Raise `NotOffered`."""
        raise _thin()

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Raise `NotOffered`."""
        raise _thin()

    def trim_first(self, count: int) -> int:
        """Raise `NotOffered`."""
        raise _thin()

    def bytes(self) -> int:
        """Raise `NotOffered`."""
        raise _thin()

    def complete_since(self) -> int:
        """Raise `NotOffered`."""
        raise _thin()

    def _write(self, kind: str, records: Sequence[Record]) -> None:
        distinct = list({_name(record): record for record in records}.values())
        common = {"MeasureName": kind, "MeasureValueType": "MULTI", "TimeUnit": "NANOSECONDS", "Version": 1}
        for begin in range(0, len(distinct), RECORDS_MAX):
            some = distinct[begin : begin + RECORDS_MAX]
            try:
                # written again it is the same record: so it is tried again as a call without effects is
                self._clients.read(
                    "timestream-write", "write_records", **self._table, CommonAttributes=common, Records=some
                )
            except NotNow as exc:
                refusal = exc.__cause__
                if not isinstance(refusal, ClientError) or code_of(refusal) != "RejectedRecordsException":
                    raise
                self._tell_rejected(refusal, len(some))

    def _tell_rejected(self, refusal: ClientError, of: int) -> None:
        """Count what was rejected and will be again. A record that is there with other values is kept as it was."""
        reasons: Any = refusal.response.get("RejectedRecords", [])
        there = sum(["ExistingVersion" in reason for reason in reasons])
        self.rejected += len(reasons) - there
        log.warning("Timestream has rejected records", records=len(reasons) - there, there_already=there, of=of)


def _thin() -> NotOffered:
    return NotOffered("Timestream for LiveAnalytics has a thin record: histories are told by another audit log")


def _transition(one: Transition) -> Record:
    dimensions = [("player_id", one.player_id), ("state_key", one.state_key), ("region", one.region)]
    numbers = [("first", str(one.first)), ("last", str(one.last)), ("epoch", str(one.epoch))]
    texts = [
        ("version", _cut(one.version, VERSION_BYTES_MAX)),
        ("before_version", _cut(one.before_version, VERSION_BYTES_MAX)),
        ("causes", _cut(" ".join(map(_told, one.causes)), CAUSES_BYTES_MAX)),
    ]
    left = RECORD_BYTES_MAX - _size("transition", dimensions, numbers, texts) - len("before") - len("after")
    before, after = bytes(one.before).decode(), bytes(one.after).decode()
    before = _cut(before, max(left // 2, left - len(after.encode())))
    texts += [("before", before), ("after", _cut(after, left - len(before.encode())))]
    at_ns = time_ns(one.written_at, one.player_id, one.state_key, one.region, one.version)
    return _record(dimensions, at_ns, numbers, texts)


def _delivery(one: Delivery) -> Record:
    dimensions = [("player_id", one.player_id), ("state_key", one.state_key), ("region", one.region)]
    numbers = [(name, str(getattr(one, name))) for name in ("sequence", "position", "index", "sent_at", "accepted_at")]
    outcome = f"{one.outcome.status}:{one.outcome.reason or ''}".rstrip(":")
    texts = [("producer", one.producer), ("outcome", outcome), ("duplicate", str(one.outcome.duplicate).lower())]
    place = [one.producer, *[value for _, value in numbers[:3]]]
    at_ns = time_ns(one.judged_at, one.player_id, one.state_key, one.region, *place)
    return _record(dimensions, at_ns, [*numbers, ("epoch", str(one.epoch))], texts)


def _record(dimensions: Pairs, at_ns: int, numbers: Pairs, texts: Pairs) -> Record:
    """A record of several measures. Timestream takes no empty text: one that is missing is empty."""
    measures = [{"Name": name, "Value": value, "Type": "BIGINT"} for name, value in numbers]
    measures += [{"Name": name, "Value": value, "Type": "VARCHAR"} for name, value in texts if value]
    return {
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
        "Time": str(at_ns),
        "MeasureValues": measures,
    }


def _name(record: Record) -> tuple[str, ...]:
    """What it is found by: a call that has two of one name is rejected."""
    return record["Time"], *[dimension["Value"] for dimension in record["Dimensions"]]


def _told(cause: Cause) -> str:
    """Which update it was, and what became of it."""
    reason = f":{cause.reason}" if cause.reason else ""
    return f"{cause.producer}/{cause.sequence}:{cause.status}{reason}"


def _size(kind: str, dimensions: Pairs, numbers: Pairs, texts: Pairs) -> int:
    """How many bytes of a record these take."""
    told = sum([len(name) + len(value.encode()) for name, value in (*dimensions, *texts)])
    return _TIME_BYTES + len(kind) + told + sum([len(name) + _NUMBER_BYTES for name, _ in numbers])


def _cut(text: str, bytes_max: int) -> str:
    """A text, or as much of it as fits with the mark behind it."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: max(bytes_max - len(CUT.encode()), 0)].decode(errors="ignore") + CUT
