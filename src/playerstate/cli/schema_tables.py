"""A schema for people, and as data."""

from __future__ import annotations

from typing import Any

import msgspec

from playerstate.cli import console
from playerstate.core.schema import KeySpec, Schema
from playerstate.core.types import DATA_TYPES


def describe_schema(schema: Schema) -> dict[str, Any]:
    """The game, and for each key its type, operations and limits."""
    keys = {name: {**msgspec.to_builtins(spec), "operations": operations(spec)} for name, spec in schema.keys.items()}
    return {"game": schema.game.name, "version": schema.version, "keys": keys}


def show_schema(schema: Schema) -> None:
    """The same as a table."""
    console.table(
        ["key", "type", "operations", "limits", "graph"],
        [[name, spec.type, _usage(spec), _limits(spec), _edge(spec)] for name, spec in schema.keys.items()],
        title=f"{schema.game.name}, schema version {schema.version}",
    )


def operations(spec: KeySpec) -> dict[str, list[str]]:
    """Operation -> the arguments that it takes."""
    return {name: list(arguments) for name, arguments in DATA_TYPES[spec.type].arguments.items()}


def _usage(spec: KeySpec) -> str:
    return ", ".join(
        f"{name}({', '.join(arguments)})" if arguments else name for name, arguments in operations(spec).items()
    )


def _limits(spec: KeySpec) -> str:
    """What the key does not leave at its default, in the schema's own words."""
    told = []
    for field in msgspec.structs.fields(spec):
        value = getattr(spec, field.name)
        if field.name not in ("type", "edge") and value != field.default:
            told.append(f"{field.name} {msgspec.json.encode(value).decode()}")
    return ", ".join(told)


def _edge(spec: KeySpec) -> str:
    return f"{spec.edge.label} to {spec.edge.to}" if spec.edge else ""
