"""What a table's stream tells, read from its beginning each time: enough to see what a test has written."""

from __future__ import annotations

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.images import decode_change
from playerstate.ports.store import Change


class StreamedChanges:
    """The changes that lie on the stream of a table of one shard."""

    def __init__(self, clients: Clients, table: str) -> None:
        self._clients = clients
        found = clients.read("dynamodb", "describe_table", TableName=table)
        self._stream = found["Table"]["LatestStreamArn"]

    def read(self, after: int, limit: int) -> list[Change]:
        """The next changes beyond a position."""
        return [change for change in self._all() if change.position > after][:limit]

    def head(self) -> int:
        """The position of the last change."""
        return max([change.position for change in self._all()], default=0)

    def trim(self, up_to: int) -> int:
        """A stream lets go of changes by itself, after a day."""
        raise NotImplementedError

    def _all(self) -> list[Change]:
        described = self._clients.read("dynamodbstreams", "describe_stream", StreamArn=self._stream)
        changes = []
        for shard in described["StreamDescription"]["Shards"]:
            iterator = self._clients.read(
                "dynamodbstreams",
                "get_shard_iterator",
                StreamArn=self._stream,
                ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            while iterator:
                page = self._clients.read("dynamodbstreams", "get_records", ShardIterator=iterator)
                changes += [decode_change(record["dynamodb"]) for record in page["Records"]]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return changes
