"""A Kinesis client whose calls go wrong as the real one's may: chosen records or calls fail, some after the effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from playerstate.backends.aws.clients import Clients

THROTTLED, FAULT = "ProvisionedThroughputExceededException", "InternalFailure"


def throttled_call() -> ClientError:
    """The whole call is refused."""
    response: Any = {"Error": {"Code": THROTTLED}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(response, "PutRecords")


def timed_out() -> ReadTimeoutError:
    """No answer came."""
    return ReadTimeoutError(endpoint_url="kinesis")


class Log:
    """What lies on a stream of one shard, and the calls that brought it there: `(partition key, body)`."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []
        self.calls: list[list[tuple[str, bytes]]] = []
        self._numbers: Iterator[int] = count(1)

    def put_records(self, *, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for entry in Records:
            self.records.append((entry["PartitionKey"], entry["Data"]))
            results.append({"SequenceNumber": f"{next(self._numbers):020d}", "ShardId": "shardId-0"})
        return {"FailedRecordCount": 0, "Records": results}


class Faulty:
    """A client around another one. `fate` is asked for each call, with its number from 0 and its size.

    It answers with an error for the call and whether the call has its effect all the same, or with a code for each
    record, "" where it is taken. A record with the code `FAULT+` is taken, and reported as a fault.
    """

    def __init__(self, inner: Any, fate: Callable[[int, int], tuple[Exception, bool] | Sequence[str]]) -> None:
        self._inner = inner
        self._fate = fate
        self.calls: list[list[tuple[str, bytes]]] = []

    def put_records(self, *, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self.calls.append([(entry["PartitionKey"], entry["Data"]) for entry in Records])
        fate = self._fate(len(self.calls) - 1, len(Records))
        if isinstance(fate, tuple):
            error, takes_effect = fate
            if takes_effect:
                self._inner.put_records(StreamName=StreamName, Records=Records)
            raise error
        taken = [entry for entry, code in zip(Records, fate, strict=True) if code in {"", "FAULT+"}]
        answer = self._inner.put_records(StreamName=StreamName, Records=taken) if taken else {"Records": []}
        found = iter(answer["Records"])
        results = []
        for code in fate:
            result = next(found) if code in {"", "FAULT+"} else {}
            results.append(result if not code else {"ErrorCode": code.replace("FAULT+", FAULT), "ErrorMessage": "no"})
        return {"FailedRecordCount": len(Records) - fate.count(""), "Records": results}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def clients_on(client: Any, service: str = "kinesis") -> Clients:
    """Clients that use this one, and do not wait."""
    clients = Clients("us-east-1", wait=lambda _: None)
    clients._clients[service] = client
    return clients
