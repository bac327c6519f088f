"""A client of DynamoDB that fails as DynamoDB may: on the emulator, with what the tests plan in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from botocore.exceptions import ClientError, ReadTimeoutError

from aws.tables import clients_of
from ministack import REGION, MiniStack
from playerstate.backends.aws.clients import Clients

Call: TypeAlias = Callable[..., dict[str, Any]]
Fault: TypeAlias = Callable[[Call, dict[str, Any]], dict[str, Any]]


class FaultyClient:
    """Passes calls on, but for those that a fault is planned for: the first for the next call, and so on."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.planned: dict[str, list[Fault]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def plan(self, operation: str, *faults: Fault) -> None:
        """Have the next calls of an operation go through these."""
        self.planned.setdefault(operation, []).extend(faults)

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of the calls of an operation so far."""
        return [parameters for name, parameters in self.calls if name == operation]

    def __getattr__(self, operation: str) -> Call:
        return partial(self._call, operation)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls.append((operation, parameters))
        call = getattr(self._client, operation)
        planned = self.planned.get(operation)
        return planned.pop(0)(call, parameters) if planned else call(**parameters)


def faulty_clients(ministack: MiniStack) -> tuple[Clients, FaultyClient]:
    """Clients that wait for nothing, and the client of DynamoDB behind them."""
    return faulty_clients_of(clients_of(ministack).of("dynamodb"))


def faulty_clients_of(dynamodb: Any) -> tuple[Clients, FaultyClient]:
    """The same, on whatever stands in for DynamoDB."""
    clients = Clients(REGION, wait=lambda _: None)
    client = FaultyClient(dynamodb)
    clients._clients["dynamodb"] = client
    return clients, client


def answered(code: str, status: int = 400, **more: Any) -> ClientError:
    """An error that DynamoDB answers a call with."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, "Call")


def cancelled(*codes: str) -> ClientError:
    """The answer to a transaction that was cancelled, with the reasons of its actions."""
    return answered("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


def failing(error: Exception) -> Fault:
    """The call is not carried out."""

    def fault(_: Call, __: dict[str, Any]) -> dict[str, Any]:
        raise error

    return fault


def done_but(error: Exception, *, then: Callable[[], object] = lambda: None) -> Fault:
    """The call is carried out, and nobody is told. `then` happens before the caller knows."""

    def fault(call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        call(**parameters)
        then()
        raise error

    return fault


def time_out() -> Exception:
    """What the caller sees when no answer comes."""
    return ReadTimeoutError(endpoint_url="x")


def statements_answered(code: str, *places: int, done: bool = False) -> Fault:
    """Those of a batch's statements at these places get an error; they are carried out only if that is `done`."""

    def fault(call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        statements = parameters["Statements"]
        passed_on = [one for n, one in enumerate(statements) if done or n not in places]
        answers = iter(call(Statements=passed_on)["Responses"] if passed_on else [])
        responses = []
        for n in range(len(statements)):
            answer = next(answers) if done or n not in places else {}
            responses.append({"Error": {"Code": code}} if n in places else answer)
        return {"Responses": responses}

    return fault
