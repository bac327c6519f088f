"""The store of rows, in a DynamoDB table that is replicated to every region.

Rows are told by the table's stream (`images`); they come from other regions by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.commits import Commits, Rows
from playerstate.backends.aws.items import get_items
from playerstate.backends.aws.rows import BEYOND_REGIONS, BODY, PLACE, PLAYER, VERSION, item_key, key_of
from playerstate.core.model import Key
from playerstate.core.replica import Write

CALLS_AT_ONCE_MAX = 4
PLACES_MAX = 8
"""At how many places of the table a sample is drawn."""

DRAWN_FROM = 4
"""Of how many rows one is drawn there."""

_PLACE_LENGTH = 12
_KEYS_ONLY = f"{PLAYER}, {PLACE}"
_KEYS_AND_BODY = f"{PLAYER}, {PLACE}, {BODY}"


class DynamoStore:
    """A `Store` on a table; `regions` tells all regions whose rows may be there.

    `load` and `load_player` are consistent; `keys`, `sample` and `count` may not know yet what was written just now.
    """

    def __init__(self, clients: Clients, table: str, region: str, regions: Callable[[], Collection[str]]) -> None:
        self._clients = clients
        self._table = table
        self._region = region
        self._regions = regions
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE_MAX, thread_name_prefix="dynamodb")
        self._commits = Commits(clients, table, self._pool, self._rows)

    def load(self, keys: Sequence[Key]) -> dict[Key, dict[str, bytes]]:
        """All regions' rows of each key."""
        loaded: dict[Key, dict[str, bytes]] = {key: {} for key in keys}
        regions = {self._region, *self._regions()}
        wanted = [item_key(key, region) for key in loaded for region in regions]
        for item in get_items(self._clients, self._table, wanted, attributes=_KEYS_AND_BODY, pool=self._pool):
            key, region = key_of(item)
            loaded[key][region] = item[BODY]["B"]
        return loaded

    def load_player(self, player_id: str) -> dict[Key, dict[str, bytes]]:
        """All rows of a player."""
        loaded: dict[Key, dict[str, bytes]] = {}
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": f"{PLAYER} = :player",
            "ExpressionAttributeValues": {":player": {"S": player_id}},
            "ProjectionExpression": _KEYS_AND_BODY,
            "ConsistentRead": True,
        }
        while True:
            page = self._clients.read("dynamodb", "query", **query)
            for item in page["Items"]:
                key, region = key_of(item)
                loaded.setdefault(key, {})[region] = item[BODY]["B"]
            if "LastEvaluatedKey" not in page:
                return loaded
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """Try each group; the rows of one must differ."""
        return self._commits.commit(groups)

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        """The next keys in the order of the table: by a hash of the player, then by the names of the rows.

        A walk meets every key that is there all the time once, and a player's keys together. `after` need not exist.
        """
        keys: dict[Key, None] = {}
        start = item_key(after, BEYOND_REGIONS) if after else None
        while len(keys) < limit:
            found, start = self._scan(start, limit - len(keys))
            keys.update(dict.fromkeys(found))
            if start is None:
                break
        return list(keys)

    def sample(self, limit: int, random: Random) -> list[Key]:
        """Keys of rows at random: some out of the rows behind each of a few places in the table.

        So those that lie together come together more often, and what lies behind a gap comes more often.
        """
        drawn: list[Key] = []
        places = min(PLACES_MAX, limit)
        for n in range(places):
            each = (limit - len(drawn) + places - n - 1) // (places - n)
            found = self._rows_behind(_somewhere(random), each * DRAWN_FROM)
            drawn += random.sample(found, min(each, len(found)))
        return drawn

    def count(self) -> int:
        """How many rows there were some hours ago: DynamoDB counts them about every six."""
        return int(self._clients.read("dynamodb", "describe_table", TableName=self._table)["Table"]["ItemCount"])

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _rows_behind(self, start: dict[str, Any], number: int) -> list[Key]:
        """The keys of so many rows behind a place, from the beginning once more where the table ends."""
        found, then = self._scan(start, number)
        if then is None and len(found) < number:
            more, _ = self._scan(None, number - len(found))
            found += more
        return found

    def _scan(self, start: dict[str, Any] | None, limit: int) -> tuple[list[Key], dict[str, Any] | None]:
        """The keys of the next rows, one a row, and from where to go on."""
        where = {"ExclusiveStartKey": start} if start else {}
        page = self._clients.read(
            "dynamodb", "scan", TableName=self._table, Limit=limit, ProjectionExpression=_KEYS_ONLY, **where
        )
        return [key_of(item)[0] for item in page["Items"]], page.get("LastEvaluatedKey")

    def _rows(self, writes: Sequence[Write]) -> Rows:
        """The rows of writes as they are."""
        wanted = [item_key(write.key, write.region) for write in writes]
        found = get_items(self._clients, self._table, wanted, pool=self._pool)
        return {key_of(item): (item[VERSION]["S"], item[BODY]["B"]) for item in found}


def _somewhere(random: Random) -> dict[str, Any]:
    """A place that nothing need lie at; its hash is anywhere."""
    return item_key(Key("".join(random.choices("!#059AFMSZ_afmsz~", k=_PLACE_LENGTH)), ""), "")
