"""The table of everything that is small: one a region, of items named by a partition and a place in it.

What is in it, by the partitions' names (a name behind `#` is a thing's own):

    checkpoint           how far a consumer of an ordered source has come, by consumer
    finding              what verification has found, by id
    letters              one item: how many letters there are, and the numbers of the last ones
    letter               dead letters without what they held, by id
    letter-body          what they held, by id
    letter-found         when each was found, and as the how many-th it was put
    letter-put           the same, by the number alone
    gone                 the records of letters that have gone, by number
    gone-at              when each went, and its number
    gone-of#LETTER       the numbers of a letter's records
    dead#IDENTITY        the letters and records of an update, by a hash of its identity
    forgotten            how far an own producer's dead are forgotten, by producer
    lease#STAGE          which worker reads which shard and how far it came, by shard: `leases.py`
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from botocore.exceptions import ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of
from playerstate.backends.aws.items import get_items
from playerstate.backends.aws.transactions import ACTIONS_MAX, BUSY, FAILED, FAULT, cancelled_for
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, Unavailable

CHECKPOINT, FINDING = "checkpoint", "finding"
LETTERS, LETTER, LETTER_BODY = "letters", "letter", "letter-body"
LETTER_FOUND, LETTER_PUT = "letter-found", "letter-put"
GONE, GONE_AT, GONE_OF, DEAD, FORGOTTEN = "gone", "gone-at", "gone-of#", "dead#", "forgotten"

Value: TypeAlias = Any
"""A `str`, `int` or `bytes`."""

Action: TypeAlias = dict[str, Any]
"""Of a transaction, as DynamoDB takes it."""

Item: TypeAlias = dict[str, Value]
"""Attributes by name; `pk` and `sk` are the item's own names."""

ROUNDS_MAX = 8

Operator: TypeAlias = Literal["=", "<", ">", ">=", "begins_with"]


class Name(NamedTuple):
    """Of an item: its partition, and its place there."""

    pk: str
    sk: str


class Control:
    """The table, with plain values for DynamoDB's typed ones. All reads are consistent.

    An attribute `expires_at`, in seconds since 1970, lets DynamoDB delete an item some time later: only for what may
    vanish by itself.
    """

    def __init__(self, clients: Clients, table: str) -> None:
        self.clients = clients
        self._table = table

    def get(self, *names: Name) -> dict[Name, Item]:
        """The items of these names that are there."""
        found = get_items(self.clients, self._table, [_typed(name._asdict()) for name in dict.fromkeys(names)])
        items = [_plain(item) for item in found]
        return {Name(item["pk"], item["sk"]): item for item in items}

    def query(
        self,
        pk: str,
        sk: tuple[Operator, str] | None = None,
        *,
        where: Mapping[str, tuple[Operator, Value]] | None = None,
        attributes: Sequence[str] = (),
        backwards: bool = False,
        page_size: int | None = None,
    ) -> Iterator[Item]:
        """The items of a partition in the order of their places, page by page: those for which all of this holds."""
        names, values = {"#pk": "pk"}, {":pk": pk}
        key_condition = "#pk = :pk"
        if sk:
            names["#sk"], values[":sk"] = "sk", sk[1]
            key_condition += f" AND {_condition('sk', sk[0])}"
        query: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True, "ScanIndexForward": not backwards}
        if where:
            names |= {f"#{name}": name for name in where}
            values |= {f":{name}": value for name, (_, value) in where.items()}
            query["FilterExpression"] = " AND ".join(
                [_condition(name, operator) for name, (operator, _) in where.items()]
            )
        if attributes:
            names |= {f"#{name}": name for name in attributes}
            query["ProjectionExpression"] = ", ".join([f"#{name}" for name in attributes])
        if page_size:
            query["Limit"] = page_size
        query |= {
            "KeyConditionExpression": key_condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": _typed(values),
        }
        while True:
            page = self.clients.read("dynamodb", "query", **query)
            yield from map(_plain, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def count(self, pk: str) -> int:
        """How many items a partition has. It reads them all."""
        return sum(1 for _ in self.query(pk, attributes=("sk",)))

    def put(self, item: Item) -> None:
        """Keep an item, in place of what had its name. Raises `OutcomeUnknown` where that cannot be told."""
        self.clients.write("dynamodb", "put_item", **self._put(item))

    def put_if_there(self, item: Item) -> bool:
        """Keep an item in place of what has its name; False if nothing has."""
        try:
            self.clients.write("dynamodb", "put_item", **self._put(item), ConditionExpression="attribute_exists(pk)")
        except NotNow as exc:
            if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def putting(self, item: Item) -> Action:
        """The action that keeps an item, in place of what has its name."""
        return {"Put": self._put(item)}

    def putting_next(self, item: Item, name: str) -> Action:
        """The action that keeps an item whose attribute `name` is 1, if there is none, or more by one than what is."""
        put = self._put(item)
        if item[name] == 1:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            put["ConditionExpression"] = "#n = :n"
            put["ExpressionAttributeNames"] = {"#n": name}
            put["ExpressionAttributeValues"] = _typed({":n": item[name] - 1})
        return {"Put": put}

    def deleting(self, name: Name) -> Action:
        """The action that lets an item go, if it is there."""
        return {"Delete": {"TableName": self._table, "Key": _typed(name._asdict())}}

    def transact(self, actions: Sequence[Action]) -> bool:
        """Carry out at most `ACTIONS_MAX` actions on different items, all or none; False if a condition failed.

        A try that may have had its effect is repeated, for DynamoDB knows one that it has carried out already.
        """
        token = str(uuid.uuid4())
        error: PlayerStateError = Unavailable("dynamodb: a transaction was not tried")
        for tries in range(ROUNDS_MAX):
            if tries:
                self.clients.pause(tries)
            try:
                self.clients.write("dynamodb", "transact_write_items", TransactItems=actions, ClientRequestToken=token)
            except OutcomeUnknown as exc:
                error = exc
            except NotNow as exc:
                code = cancelled_for(exc)
                if code in FAILED:
                    return False
                if not isinstance(error, OutcomeUnknown):
                    error = exc
                if code not in BUSY and code != FAULT:
                    break
            else:
                return True
        raise error

    def transact_in_parts(self, actions: Sequence[Action]) -> None:
        """Carry out any number of actions without conditions, part by part.

        Raises `OutcomeUnknown` where some were carried out and others were not.
        """
        for first in range(0, len(actions), ACTIONS_MAX):
            try:
                self.transact(actions[first : first + ACTIONS_MAX])
            except NotNow as exc:
                if first:
                    raise OutcomeUnknown(f"a part was written: {exc}") from exc
                raise

    def _put(self, item: Item) -> dict[str, Any]:
        return {"TableName": self._table, "Item": _typed(item)}


def _condition(name: str, operator: Operator) -> str:
    return f"begins_with(#{name}, :{name})" if operator == "begins_with" else f"#{name} {operator} :{name}"


def _typed(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    return {name: _typed_value(value) for name, value in values.items()}


def _typed_value(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    return {"B": value} if isinstance(value, bytes) else {"N": str(value)}


def _plain(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: _plain_value(*typed.items()) for name, typed in item.items()}


def _plain_value(typed: tuple[str, Any]) -> Value:
    kind, value = typed
    return int(value) if kind == "N" else value
