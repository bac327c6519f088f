"""Leases in the control table: an item a shard, in one partition a stage.

Each change is one conditional write. The conditions name what was seen, so that a call that is made again after a
time-out cannot do more than it was to do the first time.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.core.leases import NOBODY, Lease
from playerstate.errors import InvariantViolated, Unavailable

PREFIX = "lease"
"""What `pk` of all leases begins with."""
NAMES = {"#owner": "owner", "#counter": "counter", "#position": "position", "#ended": "ended"}
"""Some of which DynamoDB keeps for itself."""


class DynamoDBLeases:
    """`Leases` of one stage, such as `apply`, in a control table with the keys `pk` and `sk`."""

    def __init__(self, clients: Clients, table: str, stage: str) -> None:
        self._clients = clients
        self._table = table
        self._pk = {"S": f"{PREFIX}#{stage}"}

    def all(self) -> list[Lease]:
        """All leases, read consistently."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": self._pk},
            "ConsistentRead": True,
        }
        leases: list[Lease] = []
        while True:
            answer = self._clients.read("dynamodb", "query", **query)
            leases += map(_lease, answer["Items"])
            if not (last := answer.get("LastEvaluatedKey")):
                return leases
            query["ExclusiveStartKey"] = last

    def take(self, shard_id: str, seen: Lease | None, owner: str) -> Lease | None:
        """Make a lease one's own, if it is still as it was seen."""
        lease = seen or Lease(shard_id)
        condition = "attribute_not_exists(pk)" if seen is None else "#owner = :seen AND #counter = :counter"
        values = {} if seen is None else {":seen": {"S": seen.owner}, ":counter": {"N": str(seen.counter)}}
        taken = lease._replace(owner=owner, counter=lease.counter + 1)
        done = self._update(shard_id, "SET #owner = :owner", condition, {":owner": {"S": owner}, **values})
        return taken if done else None

    def renew(self, shard_id: str, owner: str) -> bool:
        """Say that the owner lives."""
        return self._update_own(shard_id, owner, "")

    def save(self, shard_id: str, owner: str, position: str, *, ended: bool) -> bool:
        """Note how far the shard has been read."""
        values = {":position": {"S": position}, ":ended": {"BOOL": ended}}
        return self._update_own(shard_id, owner, "SET #position = :position, #ended = :ended", values)

    def release(self, shard_id: str, owner: str) -> None:
        """Give up a lease."""
        self._update_own(shard_id, owner, "SET #owner = :nobody", {":nobody": {"S": NOBODY}})

    def remove(self, shard_id: str) -> bool:
        """Delete the lease of a shard that is no more."""
        answer = self._clients.write(
            "dynamodb", "delete_item", TableName=self._table, Key=self._key(shard_id), ReturnValues="ALL_OLD"
        )
        return "Attributes" in answer

    def _update_own(self, shard_id: str, owner: str, change: str, values: dict[str, Any] | None = None) -> bool:
        return self._update(shard_id, change, "#owner = :own", {":own": {"S": owner}, **(values or {})})

    def _update(self, shard_id: str, change: str, condition: str, values: dict[str, Any]) -> bool:
        """Change a lease and count it up, on a condition; False if that is not met."""
        update = f"{change} ADD #counter :one"
        try:
            self._clients.write(
                "dynamodb",
                "update_item",
                TableName=self._table,
                Key=self._key(shard_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={name: of for name, of in NAMES.items() if name in update + condition},
                ExpressionAttributeValues={":one": {"N": "1"}, **values},
            )
        except Unavailable as exc:
            if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _key(self, shard_id: str) -> dict[str, Any]:
        return {"pk": self._pk, "sk": {"S": shard_id}}


def _lease(item: dict[str, Any]) -> Lease:
    try:
        return Lease(
            item["sk"]["S"],
            item["owner"]["S"],
            int(item["counter"]["N"]),
            item.get("position", {"S": ""})["S"],
            item.get("ended", {"BOOL": False})["BOOL"],
        )
    except (KeyError, ValueError) as exc:
        raise InvariantViolated("something is among the leases that is none") from exc
