"""What a DynamoDB global table does between two regions, between two tables on the emulator.

"Global tables: How it works": every replica takes writes; an item goes to the others whole, and of two writes of one
item the later wins. Changes of an item may be combined on the way, and the way may lag or be cut. Since no two regions
write one item, only that order matters here: of each item the latest image arrives, none after a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.rows import PLACE, PLAYER, SEPARATOR
from playerstate.ports.clock import Clock

READ_AT_ONCE = 1000


class _Waiting(NamedTuple):
    """An item on its way, and from when on it may arrive (ms)."""

    due_ms: int
    item: Mapping[str, Any]


class Replicator:
    """The way from one region's table to another's. It carries the items of its own region's rows alone.

    `combine_share` is the share of changes that are not seen one by one where a later one of the item is known.
    """

    def __init__(
        self,
        clients: Clients,
        region: str,
        source: str,
        target: str,
        clock: Clock,
        random: Random,
        *,
        combine_share: float = 0.5,
    ) -> None:
        self.lag_ms = 0
        self.cut = False
        self.carried = 0
        self.combined = 0
        self._clients = clients
        self._ending = SEPARATOR + region
        self._target = target
        self._clock = clock
        self._random = random
        self._combine_share = combine_share
        self._waiting: dict[tuple[str, str], list[_Waiting]] = {}
        arn = clients.read("dynamodb", "describe_table", TableName=source)["Table"]["LatestStreamArn"]
        (shard,) = clients.read("dynamodbstreams", "describe_stream", StreamArn=arn)["StreamDescription"]["Shards"]
        answer = clients.read(
            "dynamodbstreams",
            "get_shard_iterator",
            StreamArn=arn,
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )
        self._iterator: str = answer["ShardIterator"]

    @property
    def idle(self) -> bool:
        """Whether nothing that was read is on its way."""
        return not self._waiting

    def carry(self, limit: int) -> int:
        """Let some items arrive, of any that are due, each item's changes in order; how many that were."""
        self._read()
        if self.cut:
            return 0
        now, arrived = self._clock.now_ms(), 0
        names = [name for name, waiting in self._waiting.items() if waiting[0].due_ms <= now]
        self._random.shuffle(names)
        for name in names[:limit]:
            waiting = self._waiting[name]
            due = [one for one in waiting if one.due_ms <= now]
            if len(due) > 1 and self._random.random() < self._combine_share:
                self.combined += len(due) - 1
            else:
                due = due[:1]
            self._clients.write("dynamodb", "put_item", TableName=self._target, Item=due[-1].item)
            arrived += 1
            del waiting[: len(due)]
            if not waiting:
                del self._waiting[name]
        self.carried += arrived
        return arrived

    def _read(self) -> None:
        while True:
            answer = self._clients.read(
                "dynamodbstreams", "get_records", ShardIterator=self._iterator, Limit=READ_AT_ONCE
            )
            self._iterator = answer["NextShardIterator"]
            for record in answer["Records"]:
                item = record["dynamodb"]["NewImage"]
                name = item[PLAYER]["S"], item[PLACE]["S"]
                if name[1].endswith(self._ending):
                    due_ms = self._clock.now_ms() + self.lag_ms
                    self._waiting.setdefault(name, []).append(_Waiting(due_ms, item))
            if not answer["Records"]:
                return
