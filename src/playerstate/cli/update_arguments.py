"""An operation from a command's arguments, by what the key's type takes."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from playerstate.core.model import Json, Op
from playerstate.core.numbers import to_json_number
from playerstate.core.schema import Schema
from playerstate.core.setting import NUMBERS
from playerstate.core.types import DATA_TYPES


def op_from_arguments(schema: Schema, player_id: str, state_key: str, name: str, arguments: Sequence[str]) -> Op:
    """The operation. What is missing or unknown is left to accept, which has the words for it.

    Raises `click.UsageError` if arguments are left over or cannot be read.
    """
    op = Op(player_id, state_key, name)
    spec = schema.keys.get(state_key)
    wanted = DATA_TYPES[spec.type].arguments.get(name) if spec else None
    if spec is None or wanted is None:
        return op
    if wanted == ("elements",):
        return msgspec.structs.replace(op, elements=list(arguments))
    if wanted == ("items",):
        return msgspec.structs.replace(op, items=_items(arguments))
    if len(arguments) > len(wanted):
        takes = ", ".join(wanted) or "no arguments"
        raise click.UsageError(
            f"{name} of {state_key} ({spec.type}) takes {takes}; {len(arguments)} arguments are given."
        )
    given = zip(wanted, arguments, strict=False)
    return msgspec.structs.replace(
        op, **{field: value_from(text) if field == "value" else text for field, text in given}
    )


def target_from(schema: Schema, state_key: str, text: str) -> Json:
    """What a key is to be set to. A number of any size, where the key's type is one. Raises `click.UsageError`."""
    target = value_from(text)
    spec = schema.keys.get(state_key)
    if type(target) is int and spec is not None and spec.type in NUMBERS:
        return to_json_number(target)
    return target


def value_from(text: str) -> Json:
    """JSON; what does not look like JSON is a text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise click.UsageError(f"The value is not JSON: {exc}") from exc
        return text


def _items(arguments: Sequence[str]) -> dict[str, int | str]:
    """`sword=1 shield=2`, or the same as one JSON object."""
    if len(arguments) == 1 and arguments[0].lstrip().startswith("{"):
        try:
            return msgspec.json.decode(arguments[0], type=dict[str, int | str])
        except (msgspec.DecodeError, ValueError) as exc:
            raise click.UsageError(f"The items are not a JSON object of numbers: {exc}") from exc
    items: dict[str, int | str] = {}
    for argument in arguments:
        item, equals, n = argument.rpartition("=")
        if not equals:
            raise click.UsageError(f"Expected ITEM=N, got {argument!r}.")
        items[item] = n
    return items
