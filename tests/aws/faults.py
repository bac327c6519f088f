"""What may go wrong at a call of AWS, and at a call of a function: by seed.

A call is throttled, takes some of its entries and leaves others, comes to nothing or to an answer that nobody gets, by
a time-out or by a fault of the service; or the process that makes it dies, before or after it had its effect. A
function may be taken for dead while it is about to write: what it was about to do comes later, beside its successor.

Faults are injected below `Clients`, where botocore's client would be, so that what translates errors and tries again is
what is used in production. A seed says at which call of each operation what goes wrong. It does not make two runs alike
to the last byte: the emulator's message ids, sequence numbers and orders of delivery are its own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from random import Random
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ReadTimeoutError

from aws.polling.invocation import Answered, FunctionError, Handler, Outcome, call
from playerstate.backends.aws.clients import Clients
from playerstate.errors import NotNow, OutcomeUnknown
from waiting import LIMIT_S

READS = ("batch_get_item", "describe_", "get_", "list_", "query", "receive_message", "scan")


class Fault(Enum):
    """What goes wrong at a call."""

    THROTTLED = auto()
    """Refused; nothing was done."""
    SOME = auto()
    """Of several entries some are taken, and others throttled."""
    LOST_BEFORE = auto()
    """A time-out; nothing was done."""
    LOST_AFTER = auto()
    """A time-out; it was done."""
    BROKEN_BEFORE = auto()
    """A fault of the service; nothing was done."""
    BROKEN_AFTER = auto()
    """A fault of the service; it was done."""
    DIES_BEFORE = auto()
    """The process is gone; nothing was done."""
    DIES_AFTER = auto()
    """The process is gone; it was done."""


DEATHS = (Fault.DIES_BEFORE, Fault.DIES_AFTER)
EFFECTLESS = frozenset({Fault.LOST_BEFORE, Fault.BROKEN_BEFORE, Fault.DIES_BEFORE})


class Died(BaseException):
    """The process has died here. It is no `Exception`, for nothing in the process may survive it."""


class Faults:
    """Where what goes wrong. `share` is the share of calls at which something does, while it is `armed`."""

    def __init__(self, seed: int, share: float) -> None:
        self.armed = True
        self.seen: Counter[Fault] = Counter()
        self._seed = seed
        self._share = share
        self._calls: Counter[str] = Counter()
        self._outages: Counter[str] = Counter()
        self._counting = threading.Lock()

    def outage(self, service: str, calls: int) -> None:
        """Have the next so many calls of a service go wrong, one after the other."""
        self._outages[service] += calls

    def at(self, name: str, *, mortal: bool, times: int = 1) -> Fault | None:
        """What goes wrong at the next call of a name, `times` as likely as elsewhere.

        Nobody dies but who is `mortal`: where somebody takes the process's place.
        """
        with self._counting:
            self._calls[name] += 1
            random = Random(f"{self._seed} {name} {self._calls[name]}")
            if not self.armed:
                return None
            service = name.partition(" ")[0]
            out = self._outages[service] > 0
            self._outages[service] -= out
            if not out and random.random() >= self._share * times:
                return None
            fault = random.choice([fault for fault in Fault if (mortal and not out) or fault not in DEATHS])
            self.seen[fault] += 1
            return fault


class Gate:
    """Where the writes of a process pass through, until it is closed: then they wait there until it is opened."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._met = threading.Event()
        self._left = 0
        self._counting = threading.Lock()

    def close(self, after: int) -> None:
        """Let so many writes pass, and hold the next."""
        self._left = after
        self._free.clear()

    def open(self) -> None:
        """Let everything pass again."""
        self._free.set()

    def end(self) -> None:
        """Tell whoever waits for something to be held that nothing will be."""
        self._met.set()

    def wait_until_held(self) -> None:
        """Wait until a write is held, or the process has ended."""
        assert self._met.wait(LIMIT_S), "neither a write nor an end"

    def pass_through(self) -> None:
        """Pass, or wait."""
        if self._free.is_set():
            return
        with self._counting:
            self._left -= 1
            passes = self._left >= 0
        if not passes:
            self._met.set()
            assert self._free.wait(LIMIT_S), "nobody has opened the gate"


class FaultyClients(Clients):
    """Clients of one process, at whose calls things go wrong; nothing waits between two tries."""

    def __init__(
        self, clients: Clients, faults: Faults, *, gate: Gate | None = None, mortal: bool = False, times: int = 1
    ) -> None:
        super().__init__(clients.region, wait=lambda _: None, random=Random(0))
        self._real = clients
        self._faults = faults
        self._gate = gate or Gate()
        self._mortal = mortal
        self._times = times

    def of(self, service: str) -> Any:
        """The client of a service."""
        return _FaultyClient(service, self._real.of(service), self._gate, self._fault)

    def _fault(self, name: str) -> Fault | None:
        return self._faults.at(name, mortal=self._mortal, times=self._times)


class _FaultyClient:
    def __init__(self, service: str, client: Any, gate: Gate, fault_at: Callable[[str], Fault | None]) -> None:
        self._service = service
        self._client = client
        self._gate = gate
        self._fault_at = fault_at

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        real = getattr(self._client, operation)

        def calling(**parameters: Any) -> Any:
            if not operation.startswith(READS):
                self._gate.pass_through()
            fault = self._fault_at(f"{self._service} {operation}")
            return real(**parameters) if fault is None else self._failing(fault, operation, real, parameters)

        return calling

    def _failing(self, fault: Fault, operation: str, real: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        if fault is Fault.SOME:
            if operation in TAKES_SOME:
                return TAKES_SOME[operation](real, parameters)
            fault = Fault.THROTTLED
        if fault is Fault.THROTTLED:
            raise answered(operation, "ThrottlingException", 400)
        if fault not in EFFECTLESS:
            real(**parameters)
        if fault in DEATHS:
            raise Died
        if fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER):
            raise ReadTimeoutError(endpoint_url=self._service)
        raise answered(operation, "InternalServerError", 500)


def answered(operation: str, code: str, status: int) -> ClientError:
    """An error that a service answers with."""
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


def _half(entries: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """What is taken of entries, every other one, and what is not."""
    return list(entries[1::2]), list(entries[0::2])


def _some_records(real: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Of Kinesis's records every other one is taken; the answer has a place for each."""
    taken, _ = _half(parameters["Records"])
    results = list(real(**parameters | {"Records": taken})["Records"]) if taken else []
    throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
    answer = [results.pop(0) if n % 2 else throttled for n in range(len(parameters["Records"]))]
    return {"FailedRecordCount": len(answer) - len(taken), "Records": answer}


def _some_statements(real: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Of PartiQL's statements every other one is tried."""
    taken, _ = _half(parameters["Statements"])
    results = list(real(Statements=taken)["Responses"]) if taken else []
    throttled = {"Error": {"Code": "ThrottlingError", "Message": "slow down"}}
    return {"Responses": [results.pop(0) if n % 2 else throttled for n in range(len(parameters["Statements"]))]}


def _some_entries(name: str) -> Callable[[Callable[..., Any], dict[str, Any]], Any]:
    """Of a batch of messages every other one is taken; the answer names all by their ids."""

    def some(real: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        taken, left = _half(parameters[name])
        answer = dict(real(**parameters | {name: taken})) if taken else {"Successful": []}
        failed = [{"Id": entry["Id"], "Code": "ThrottlingException", "SenderFault": False} for entry in left]
        return answer | {"Failed": [*answer.get("Failed", []), *failed]}

    return some


def _some_keys(real: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Of a table's keys every other one is read."""
    ((table, request),) = parameters["RequestItems"].items()
    taken, left = _half(request["Keys"])
    answer = dict(real(RequestItems={table: {**request, "Keys": taken}})) if taken else {"Responses": {}}
    return answer | {"UnprocessedKeys": {table: {**request, "Keys": left}}}


TAKES_SOME: Mapping[str, Callable[[Callable[..., Any], dict[str, Any]], Any]] = {
    "batch_execute_statement": _some_statements,
    "batch_get_item": _some_keys,
    "delete_message_batch": _some_entries("Entries"),
    "publish_batch": _some_entries("PublishBatchRequestEntries"),
    "put_records": _some_records,
    "send_message_batch": _some_entries("Entries"),
}


class _Environment(NamedTuple):
    """Where a function runs: a process of its own."""

    handler: Handler
    gate: Gate


class Zombies:
    """Calls of functions that were taken for dead, and are about to write."""

    def __init__(self) -> None:
        self.count = 0
        """How many there ever were."""
        self._waiting: list[tuple[Gate, threading.Thread]] = []

    @property
    def waiting(self) -> int:
        """How many have not written yet."""
        return len(self._waiting)

    def add(self, gate: Gate, thread: threading.Thread) -> None:
        """Keep one."""
        self.count += 1
        self._waiting.append((gate, thread))

    def release(self, index: int = 0) -> None:
        """Let one do all that it was about to do."""
        gate, thread = self._waiting.pop(index)
        gate.open()
        thread.join(LIMIT_S)
        assert not thread.is_alive(), "it does not end"


class Function:
    """A function whose environments die at some calls, whose answers get lost, and which leaves zombies.

    `build` starts an environment. What it does after it was taken for dead, it does beside a new one.
    """

    ANSWER_LOST_SHARE = 0.05
    ZOMBIE_SHARE = 0.08
    HELD_AFTER_MAX = 3

    def __init__(
        self,
        name: str,
        build: Callable[[Clients, Gate], Handler],
        clients: Clients,
        faults: Faults,
        zombies: Zombies,
        random: Random,
    ) -> None:
        self.starts = 0
        self._name = name
        self._build = build
        self._clients = clients
        self._faults = faults
        self._zombies = zombies
        self._random = random
        self._environment: _Environment | None = None

    def __call__(self, event: Mapping[str, Any]) -> Outcome:
        """Call it, or what takes its place."""
        fate = self._random.random() if self._faults.armed else 1.0
        environment, self._environment = self._environment or self._begin(), None
        if environment is None:
            return FunctionError("it does not begin")
        if fate < self.ZOMBIE_SHARE:
            return self._call_and_leave(environment, event)
        try:
            outcome = call(environment.handler, event)
        except Died:
            return FunctionError("it has died")
        self._environment = environment
        if isinstance(outcome, Answered) and fate < self.ZOMBIE_SHARE + self.ANSWER_LOST_SHARE:
            return FunctionError("its answer was lost")
        return outcome

    def _call_and_leave(self, environment: _Environment, event: Mapping[str, Any]) -> Outcome:
        """Call it, and give it up once it is about to write."""
        gate = environment.gate
        gate.close(self._random.randint(0, self.HELD_AFTER_MAX))

        def run() -> None:
            with suppress(Died):  # nobody waits for it
                call(environment.handler, event)
            gate.end()

        thread = threading.Thread(target=run, name=f"{self._name} that was taken for dead", daemon=True)
        thread.start()
        gate.wait_until_held()
        self._zombies.add(gate, thread)
        return FunctionError("it has timed out")

    def _begin(self) -> _Environment | None:
        """Start an environment; None if that goes wrong, as any call in it may."""
        gate = Gate()
        self.starts += 1
        try:
            handler = self._build(FaultyClients(self._clients, self._faults, gate=gate, mortal=True), gate)
        except (Died, NotNow, OutcomeUnknown):
            return None
        return _Environment(handler, gate)
