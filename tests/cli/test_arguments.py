"""Operations from arguments: what they mean follows from the key's type."""

from __future__ import annotations

from typing import Any

import click
import pytest

from playerstate.cli.update_arguments import op_from_arguments
from playerstate.core.check import Checker
from playerstate.core.model import Op, Update
from playerstate.core.schema import parse_schema
from playerstate.core.types import DATA_TYPES
from playerstate.errors import InvalidUpdate
from playerstate.folder import starter_schema

SCHEMA = parse_schema(starter_schema())
CHECKER = Checker(SCHEMA)


def op(state_key: str, name: str, *arguments: str) -> Op:
    return op_from_arguments(SCHEMA, "ada", state_key, name, arguments)


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("gold add 5", {"n": "5"}),
        ("gold set 0", {"n": "0"}),
        ("experience add -5", {"n": "-5"}),
        ("experience add 99999999999999999999", {"n": "99999999999999999999"}),
        ("inventory add sword 1", {"item": "sword", "n": "1"}),
        ("inventory replace sword=2 a=b=1", {"items": {"sword": "2", "a=b": "1"}}),
        ('inventory replace {"sword":2}', {"items": {"sword": 2}}),
        ("inventory replace", {"items": {}}),
        ("rank set 7", {"value": 7}),
        ("position set 1.5", {"value": 1.5}),
        ('position set {"x":1}', {"value": {"x": 1}}),
        ("position set null", {"value": None}),
        ('status set "away"', {"value": "away"}),
        ("status set away", {"value": "away"}),
        ("settings set volume 11", {"field": "volume", "value": 11}),
        ("settings remove volume", {"field": "volume"}),
        ("friends add bob eve", {"elements": ["bob", "eve"]}),
        ("tutorial_done enable", {}),
    ],
)
def test_arguments_by_type(words: str, fields: dict[str, Any]) -> None:
    """They make an operation that is accepted."""
    state_key, name, *arguments = words.split()
    made = op(state_key, name, *arguments)
    assert made == Op("ada", state_key, name, **fields)
    CHECKER.check_content(Update([made]))


def test_every_operation_of_every_type_can_be_made() -> None:
    """No type is forgotten: an example of each argument gives an operation that is accepted."""
    examples = {"n": "1", "item": "sword", "items": "sword=1", "elements": "bob", "field": "f", "value": "1"}
    for key, spec in SCHEMA.keys.items():
        for name, arguments in DATA_TYPES[spec.type].arguments.items():
            example = ["online" if key == "status" else examples[argument] for argument in arguments]
            CHECKER.check_content(Update([op(key, name, *example)]))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("golf add 1", "unknown_key"),
        ("gold steal 1", "unknown_operation"),
        ("gold add", "missing_argument"),
        ("inventory add sword", "missing_argument"),
        ("friends add", "too_many_entries"),
        ("gold add x", "bad_number"),
        ("gold add +5", "bad_number"),
        ("gold add -5", "out_of_range"),
        ("inventory replace sword=many", "bad_number"),
        ("rank set high", "bad_number"),
        ("rank set NaN", "bad_number"),
    ],
)
def test_what_cannot_be_is_left_to_accept(words: str, code: str) -> None:
    """It has the words for it, the same on every way in."""
    state_key, name, *arguments = words.split()
    with pytest.raises(InvalidUpdate) as refused:
        CHECKER.check_content(Update([op(state_key, name, *arguments)]))
    assert refused.value.code == code


@pytest.mark.parametrize(
    "words",
    [
        "gold add 1 2",
        "tutorial_done enable now",
        "settings remove a b",
        'position set {"x":',
        "position set [",
        "inventory replace sword",
        'inventory replace {"a":[]}',
    ],
)
def test_arguments_that_cannot_be_read(words: str) -> None:
    """Half a JSON value is never taken for a text, and nothing that was given is dropped."""
    state_key, name, *arguments = words.split()
    with pytest.raises(click.UsageError):
        op(state_key, name, *arguments)
