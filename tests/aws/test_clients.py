"""Calls of AWS: what is tried again, and what an error of botocore's comes to."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from ministack import MiniStack
from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.errors import AuthenticationFailed, translated
from playerstate.errors import OutcomeUnknown, PlayerStateError, SlowDown, Unavailable


def answered(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "anna has 3 swords"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "PutItem")


@pytest.mark.parametrize(
    ("error", "reading", "changing"),
    [
        (answered("ThrottlingException"), SlowDown, SlowDown),
        (answered("ProvisionedThroughputExceededException"), SlowDown, SlowDown),
        (answered("ExpiredTokenException"), AuthenticationFailed, AuthenticationFailed),
        (answered("ResourceNotFoundException"), Unavailable, Unavailable),
        (answered("InternalServerError", 500), Unavailable, OutcomeUnknown),
        (answered("ServiceUnavailable", 503), Unavailable, OutcomeUnknown),
        (ReadTimeoutError(endpoint_url="x"), Unavailable, OutcomeUnknown),
        (ConnectTimeoutError(endpoint_url="x"), Unavailable, Unavailable),
        (EndpointConnectionError(endpoint_url="x"), Unavailable, Unavailable),
        (ConnectionResetError(), Unavailable, OutcomeUnknown),
    ],
)
def test_translation(error: Exception, reading: type[PlayerStateError], changing: type[PlayerStateError]) -> None:
    """Throttling and what was never sent is definite; a time-out or a fault of the service is not, if it may have
    changed something. What the service says of players is not repeated.
    """
    for changes, expected in ((False, reading), (True, changing)):
        found = translated(error, "dynamodb put_item", changes=changes)
        assert type(found) is expected
        assert "anna" not in str(found)


class Answering:
    """A client that fails some times, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def put_item(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return {"done": True}


def clients_on(client: Answering) -> Clients:
    clients = Clients("us-east-1", wait=lambda _: None)
    clients._clients["dynamodb"] = client
    return clients


def test_tries_again_what_may_pass() -> None:
    """Throttles are tried again, reading and writing; a time-out only where nothing is changed."""
    throttled = Answering(answered("ThrottlingException"), answered("ThrottlingException"))
    assert clients_on(throttled).write("dynamodb", "put_item") == {"done": True}
    timed_out = Answering(ReadTimeoutError(endpoint_url="x"))
    assert clients_on(timed_out).read("dynamodb", "put_item") == {"done": True}
    unknown = Answering(ReadTimeoutError(endpoint_url="x"))
    with pytest.raises(OutcomeUnknown):
        clients_on(unknown).write("dynamodb", "put_item")
    assert unknown.calls == 1


def test_tries_are_bounded() -> None:
    """A service that throttles for ever is given up, with nothing done."""
    for_ever = Answering(*[answered("ThrottlingException")] * 100)
    with pytest.raises(SlowDown):
        clients_on(for_ever).write("dynamodb", "put_item")
    assert for_ever.calls == TRIES_MAX


def test_does_not_repeat_what_cannot_pass() -> None:
    """A call that was refused for what it is, or for who makes it, is made once."""
    for code in ("ResourceNotFoundException", "ExpiredTokenException", "ConditionalCheckFailedException"):
        refused = Answering(answered(code))
        with pytest.raises(Unavailable):
            clients_on(refused).read("dynamodb", "put_item")
        assert refused.calls == 1


def test_reaches_a_service(ministack: MiniStack) -> None:
    """A client is built once, and answers."""
    clients = ministack.clients()
    assert clients.of("sqs") is clients.of("sqs")
    assert "TableNames" in clients.read("dynamodb", "list_tables")


def test_nobody_answers() -> None:
    """Where nobody listens, nothing was done."""
    clients = Clients(
        "us-east-1",
        endpoint_url="http://127.0.0.1:9",
        wait=lambda _: None,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    with pytest.raises(Unavailable):
        clients.write("dynamodb", "put_item", TableName="t", Item={})
