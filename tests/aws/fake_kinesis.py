"""A Kinesis stream whose shards split and merge as the real ones do, which the emulator's do not.

A shard that is closed stays, its records can be read to their end, and its children come after it. Iterators expire and
records are trimmed when a test says so.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

HASHES = 2**128
FIRST_NUMBER = 49590338271490256608559692538361571095921575989136588898


class FakeShard:
    def __init__(self, shard_id: str, start: int, end: int, parents: Sequence[str]) -> None:
        self.shard_id = shard_id
        self.start, self.end = start, end
        self.parents = list(parents)
        self.closed = False
        self.trimmed = self.reads = 0
        self.records: list[dict[str, Any]] = []
        """Those that were trimmed too, so that places stay."""


class FakeKinesis:
    """A client. An answer has `page_max` records at most; if `sparse`, every other one of a shard is empty."""

    def __init__(self, shard_count: int = 1, *, page_max: int = 10_000, sparse: bool = False) -> None:
        self.page_max = page_max
        self.sparse = sparse
        self.expired: set[str] = set()
        self.iterators: dict[str, tuple[str, int]] = {}
        self.shards: dict[str, FakeShard] = {}
        self._numbers = count(FIRST_NUMBER)
        self._names = count()
        self._lock = threading.RLock()
        size = HASHES // shard_count
        for n in range(shard_count):
            self._add(n * size, (n + 1) * size if n < shard_count - 1 else HASHES, [])

    def _add(self, start: int, end: int, parents: Sequence[str]) -> str:
        shard_id = f"shardId-{next(self._names):012d}"
        self.shards[shard_id] = FakeShard(shard_id, start, end, parents)
        return shard_id

    def open_shards(self) -> list[FakeShard]:
        return sorted((shard for shard in self.shards.values() if not shard.closed), key=lambda shard: shard.start)

    def split(self, shard_id: str) -> list[str]:
        with self._lock:
            shard = self.shards[shard_id]
            shard.closed = True
            middle = (shard.start + shard.end) // 2
            return [self._add(shard.start, middle, [shard_id]), self._add(middle, shard.end, [shard_id])]

    def merge(self, left: str, right: str) -> str:
        with self._lock:
            self.shards[left].closed = self.shards[right].closed = True
            return self._add(self.shards[left].start, self.shards[right].end, [left, right])

    def trim(self, shard_id: str, records: int) -> None:
        self.shards[shard_id].trimmed += records

    def expire_iterators(self) -> None:
        self.expired.update(self.iterators)

    def put_records(self, *, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        results = []
        with self._lock:
            for entry in Records:
                place = int.from_bytes(hashlib.md5(entry["PartitionKey"].encode()).digest(), "big")
                shard = next(shard for shard in self.open_shards() if shard.start <= place < shard.end)
                number = str(next(self._numbers))
                shard.records.append({**entry, "SequenceNumber": number})
                results.append({"SequenceNumber": number, "ShardId": shard.shard_id})
        return {"FailedRecordCount": 0, "Records": results}

    def list_shards(self, *, StreamName: str = "", NextToken: str = "") -> dict[str, Any]:
        """Two to a page."""
        assert bool(StreamName) != bool(NextToken)
        with self._lock:
            start = int(NextToken or 0)
            page = list(self.shards.values())[start : start + 2]
            more = {"NextToken": str(start + 2)} if start + 2 < len(self.shards) else {}
            return {"Shards": [self._described(shard) for shard in page], **more}

    def _described(self, shard: FakeShard) -> dict[str, Any]:
        names = ("ParentShardId", "AdjacentParentShardId")
        numbers = {"StartingSequenceNumber": "1", **({"EndingSequenceNumber": "2"} if shard.closed else {})}
        parents = dict(zip(names, shard.parents, strict=False))
        return {"ShardId": shard.shard_id, **parents, "SequenceNumberRange": numbers}

    def get_shard_iterator(
        self, *, StreamName: str, ShardId: str, ShardIteratorType: str, StartingSequenceNumber: str = ""
    ) -> dict[str, Any]:
        with self._lock:
            if ShardId not in self.shards:
                raise answered("ResourceNotFoundException")
            shard = self.shards[ShardId]
            if ShardIteratorType == "TRIM_HORIZON":
                place = 0
            else:
                assert ShardIteratorType == "AT_SEQUENCE_NUMBER"
                earlier = [r for r in shard.records if int(r["SequenceNumber"]) < int(StartingSequenceNumber)]
                place = len(earlier)
            return {"ShardIterator": self._iterator(ShardId, place)}

    def _iterator(self, shard_id: str, place: int) -> str:
        name = f"iterator {len(self.iterators)}"
        self.iterators[name] = (shard_id, place)
        return name

    def get_records(self, *, ShardIterator: str, Limit: int) -> dict[str, Any]:
        with self._lock:
            if ShardIterator in self.expired:
                raise answered("ExpiredIteratorException")
            shard_id, place = self.iterators[ShardIterator]
            if shard_id not in self.shards:
                raise answered("ResourceNotFoundException")
            shard = self.shards[shard_id]
            place = max(place, shard.trimmed)
            shard.reads += 1
            limit = 0 if self.sparse and shard.reads % 2 else min(Limit, self.page_max)
            page = shard.records[place : place + limit]
            place += len(page)
            over = shard.closed and place >= len(shard.records)
            return {"Records": page, **({} if over else {"NextShardIterator": self._iterator(shard_id, place)})}


def answered(code: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(response, "GetRecords")
