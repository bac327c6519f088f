"""Calls of a function: what goes in and out passes through JSON, and an exception is an error of the function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

Handler: TypeAlias = Callable[[dict[str, Any], Any], Any]
"""What AWS calls: an event and a context in, an answer out."""


class Answered(NamedTuple):
    """A function has returned this."""

    response: Any


class FunctionError(NamedTuple):
    """A function has raised something, has died, or has not answered in time. What it did by then stays done."""

    what: str


Outcome: TypeAlias = Answered | FunctionError


class Context:
    """What a function may ask of its call."""

    function_name = "function-of-the-tests"
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:function-of-the-tests"
    memory_limit_in_mb = "1024"

    def get_remaining_time_in_millis(self) -> int:
        """How long it has left."""
        return 60_000


def call(handler: Handler, event: Mapping[str, Any]) -> Outcome:
    """Call a handler as Lambda does."""
    try:
        return Answered(json.loads(json.dumps(handler(json.loads(json.dumps(event)), Context()))))
    except Exception as exc:  # noqa: BLE001 - whatever it is, Lambda takes it for an error of the function
        return FunctionError(type(exc).__name__)
