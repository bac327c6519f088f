"""Runs MiniStack, in its own environment, with one thing put right: writes by PartiQL are told on a table's stream.

DynamoDB tells of every write on the stream, whatever statement made it. MiniStack 1.5.33 does so for all but PartiQL's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ministack.app import main
from ministack.services import dynamodb

_SUCCESS = 200


def _item(table: dict[str, Any], key: tuple[str, str]) -> dict[str, Any] | None:
    partition, sort = key
    return copy.deepcopy(table["items"].get(partition, {}).get(sort))


def _telling(write: Callable[..., Any], key_of: Callable[[dict[str, Any], dict[str, Any]], tuple[str, str]]) -> Any:
    def told(table: dict[str, Any], parsed: dict[str, Any], *more: Any) -> Any:
        key = key_of(table, parsed)
        before = _item(table, key)
        answer = write(table, parsed, *more)
        if answer[0] == _SUCCESS:
            kind = "INSERT" if before is None else "MODIFY"
            dynamodb._emit_stream_event(parsed["table"], kind, before, _item(table, key))
        return answer

    return told


def _key_of_insert(table: dict[str, Any], parsed: dict[str, Any]) -> tuple[str, str]:
    item = parsed.get("item", {})
    item = item["M"] if set(item) == {"M"} else item
    return tuple(dynamodb._extract_key_val(item.get(table[name])) for name in ("pk_name", "sk_name"))


def _key_of_update(table: dict[str, Any], parsed: dict[str, Any]) -> tuple[str, str]:
    return dynamodb._partiql_key_target(table, parsed)[:2]


dynamodb._partiql_insert = _telling(dynamodb._partiql_insert, _key_of_insert)
dynamodb._partiql_update = _telling(dynamodb._partiql_update, _key_of_update)

if __name__ == "__main__":
    main()
