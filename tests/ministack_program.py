"""MiniStack as the tests run it, in its own environment: mended where it would hide what AWS does.

- Of what a PartiQL statement writes, MiniStack 1.5.33 puts nothing on the table's stream. AWS does.
"""

from __future__ import annotations

import sys
from typing import Any

from ministack.app import main
from ministack.services import dynamodb

_set_item = dynamodb._set_item
_execute_statement = dynamodb._execute_statement
_executing: list[str] = []


def set_item_and_tell(table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> Any:
    """What a statement writes, told on the stream as any other write."""
    old = table["items"].get(pk, {}).get(sk)
    done = _set_item(table, pk, sk, item)
    if _executing:
        dynamodb._emit_stream_event(table["TableName"], "MODIFY" if old else "INSERT", old, item)
    return done


def execute_statement(data: dict[str, Any]) -> Any:
    """A statement, by itself or of a batch."""
    _executing.append(data["Statement"])
    try:
        return _execute_statement(data)
    finally:
        _executing.pop()


dynamodb._set_item = set_item_and_tell
dynamodb._execute_statement = execute_statement
sys.exit(main())
