"""Items of a DynamoDB table, by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from playerstate.backends.aws.clients import Clients
from playerstate.errors import Unavailable

KEYS_MAX = 100
"""What DynamoDB takes in a call."""

ROUNDS_MAX = 8


def get_items(
    clients: Clients,
    table: str,
    keys: Sequence[dict[str, Any]],
    *,
    attributes: str | None = None,
    pool: Executor | None = None,
) -> list[dict[str, Any]]:
    """The items of these keys that are there, consistently, in any order; the keys must differ.

    `pool` makes several calls at once. Raises `NotNow`.
    """
    more: dict[str, Any] = {"ConsistentRead": True}
    if attributes:
        more["ProjectionExpression"] = attributes
    requests = [{"Keys": keys[n : n + KEYS_MAX], **more} for n in range(0, len(keys), KEYS_MAX)]

    def get(request: dict[str, Any]) -> list[dict[str, Any]]:
        return _get(clients, table, request)

    if len(requests) == 1:
        return get(requests[0])
    found = pool.map(get, requests) if pool else map(get, requests)
    return [item for items in found for item in items]


def _get(clients: Clients, table: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of one request; what DynamoDB does not get to is asked for again."""
    items: list[dict[str, Any]] = []
    for tries in range(ROUNDS_MAX):
        if tries:
            clients.pause(tries)
        page = clients.read("dynamodb", "batch_get_item", RequestItems={table: request})
        items += page["Responses"].get(table, ())
        left = page.get("UnprocessedKeys", {}).get(table)
        if not left:
            return items
        request = {**request, "Keys": left["Keys"]}
    raise Unavailable("dynamodb batch_get_item: some keys are not processed")
