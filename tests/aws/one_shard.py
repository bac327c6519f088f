"""Kinesis streams on the emulator, and one of a single shard as a whole `Stream`, for the suite."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.shards import kinesis_shards
from playerstate.ports.shards import HORIZON
from playerstate.ports.stream import NewRecord, StreamRecord

NUMBER_LENGTH = 30
"""The emulator's sequence numbers have zeros in front, which the integers of a `Stream` have lost."""


def make_stream(clients: Clients, name: str, shard_count: int = 1) -> str:
    """Make a stream; its name."""
    clients.write("kinesis", "create_stream", StreamName=name, ShardCount=shard_count)
    return name


class OneShardStream:
    """A `Stream` on one shard. Kinesis knows no head: it is looked for from the first record on."""

    def __init__(self, clients: Clients, stream_name: str) -> None:
        self._stream = KinesisStream(clients, stream_name)
        self._shards = kinesis_shards(clients, stream_name)
        (shard,) = self._shards.shards()
        self._shard_id = shard.shard_id

    def append(self, records: Sequence[NewRecord]) -> int:
        return self._stream.append(records)

    def read(self, after: int, limit: int) -> list[StreamRecord]:
        position = str(after).zfill(NUMBER_LENGTH) if after else HORIZON
        return list(self._shards.reader(self._shard_id, position).read(limit).records)

    def head(self) -> int:
        reader = self._shards.reader(self._shard_id, HORIZON)
        last = 0
        while records := reader.read(1_000).records:
            last = records[-1].position
        return last

    def trim(self, up_to: int) -> int:
        raise AssertionError("Kinesis cannot do that; no test should ask for it")
