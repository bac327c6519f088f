"""The stream's failure path: what Lambda has given up, and put into S3 -> SQS -> dead letters, and another try.

A mapping's on-failure destination in S3 has the records themselves, in `payload`. Updates become dead letters, to be
sent again by an operator once it is known why. Changes are projected once more: what follows the store only has to
come up to it, in whatever order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from playerstate.aws.events import DYNAMODB, KINESIS, Response, failures, kinesis_records, s3_objects, sqs_messages
from playerstate.aws.meter import Meter
from playerstate.backends.aws.emf import DEAD_LETTERS
from playerstate.core.model import DeadLetter
from playerstate.errors import InvalidUpdate, PlayerStateError, Unavailable, described
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.stages.put_aside import place_name
from playerstate.stages.told import tell_letters

log = structlog.get_logger(__name__)


class Failed:
    """The function. `read` gives an object of S3, None where it is gone; `project` is project's function.

    S3 tells a queue of its objects, and the queue's messages come here: what S3 tells Lambda itself is tried three
    times within minutes and then lost. What could not be done now comes again, and repeating does no harm.
    """

    def __init__(
        self,
        read: Callable[[str, str], bytes | None],
        project: Callable[[object], Response],
        dead_letters: DeadLetters,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._read = read
        self._project = project
        self._dead_letters = dead_letters
        self._clock = clock
        self._meter = meter

    def __call__(self, event: object) -> Response:
        """Take in what S3 has told a queue."""
        failed = []
        for message in sqs_messages(event):
            try:
                self._take_in_all(message.body)
            except PlayerStateError as exc:
                log.warning("what a stream has given up comes again", error=described(exc))
                failed.append(message.message_id)
        return failures(failed)

    def _take_in_all(self, body: str) -> None:
        """Take in every object that a message names; what S3 sends to try a queue names none."""
        told = _json_of(body)
        if isinstance(told, Mapping) and "Records" not in told and told.get("Event") == "s3:TestEvent":
            return
        for bucket, key in s3_objects(told):
            written = self._read(bucket, key)
            if written is None:
                log.warning("what a stream has given up is gone", object=key)
                continue
            self._take_in(written)

    def _take_in(self, body: bytes) -> None:
        payload = _payload(body)
        records = payload["Records"]
        sources = {record.get("eventSource") for record in records}
        if sources == {KINESIS}:
            self._put_aside(payload)
        elif sources == {DYNAMODB}:
            if self._project(payload)["batchItemFailures"]:
                raise Unavailable("changes that were given up cannot be projected now")
        else:
            raise InvalidUpdate("The object has records of no stream", code="wrong_event")

    def _put_aside(self, payload: Mapping[str, Any]) -> None:
        now = self._clock.now_ms()
        reason = "The stream has given it up: the function of apply failed on it, or it became too old"
        letters = [
            DeadLetter(place_name(int(entry.identifier)), "apply", now, "given_up", reason, entry.body)
            for entry in kinesis_records(payload)
        ]
        new = [letter for letter in letters if not self._dead_letters.has_ended(letter)]
        if new:
            self._meter.count(DEAD_LETTERS, self._dead_letters.put(new))
            tell_letters(new)


def _json_of(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError as exc:
        raise InvalidUpdate("The message is none of S3's", code="wrong_event") from exc


def _payload(body: bytes) -> Mapping[str, Any]:
    """The event that an object holds. Raises `InvalidUpdate` for what Lambda has not written."""
    try:
        written = json.loads(body)
        payload = written["payload"]
        found = json.loads(payload) if isinstance(payload, str) else payload
        records = found["Records"]
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidUpdate("The object is none that a mapping has written", code="wrong_event") from exc
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise InvalidUpdate("The object has no records", code="wrong_event")
    return dict(found)
