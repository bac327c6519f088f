"""Streams of one shard on the emulator, as a whole `Stream` and as the `Changes` of a store, for the suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.shards import dynamodb_shards, kinesis_shards
from playerstate.errors import InvalidUpdate
from playerstate.ports.shards import HORIZON
from playerstate.ports.store import Change
from playerstate.ports.stream import NewRecord

NUMBER_LENGTH = 30
"""The emulator's sequence numbers have zeros in front, which the integers of a `Stream` have lost."""


def make_stream(clients: Clients, name: str, shard_count: int = 1) -> str:
    """Make a stream; its name."""
    clients.write("kinesis", "create_stream", StreamName=name, ShardCount=shard_count)
    return name


class OneShard:
    """What reads one shard from any position on. No service knows a head: it is looked for from the first record on."""

    def __init__(self, shards: Any) -> None:
        self._shards = shards
        (shard,) = shards.shards()
        self._shard_id = shard.shard_id

    def read(self, after: int, limit: int) -> list[Any]:
        position = str(after).zfill(NUMBER_LENGTH) if after else HORIZON
        return list(self._shards.reader(self._shard_id, position).read(limit).records)

    def head(self) -> int:
        reader = self._shards.reader(self._shard_id, HORIZON)
        last = 0
        while records := reader.read(1_000).records:
            last = records[-1].position
        return last

    def trim(self, up_to: int) -> int:
        raise AssertionError("records go by age alone; no test should ask for that")


class OneShardStream(OneShard):
    """A `Stream` on Kinesis."""

    def __init__(self, clients: Clients, stream_name: str) -> None:
        super().__init__(kinesis_shards(clients, stream_name))
        self._stream = KinesisStream(clients, stream_name)

    def append(self, records: Sequence[NewRecord]) -> int:
        return self._stream.append(records)


class OneShardChanges(OneShard):
    """The `Changes` of a table of rows."""

    def __init__(self, clients: Clients, table: str) -> None:
        arn = clients.read("dynamodb", "describe_table", TableName=table)["Table"]["LatestStreamArn"]
        super().__init__(dynamodb_shards(clients, arn, _refuse))

    def read(self, after: int, limit: int) -> list[Change]:
        return super().read(after, limit)


def _refuse(record: Mapping[str, Any], error: InvalidUpdate) -> None:
    raise error
