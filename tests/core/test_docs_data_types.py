"""The page on data types: its schema is one, its examples are taken, and readers see what it says they see."""

from __future__ import annotations

import re

import msgspec
import pytest

from core.cluster import NOW_MS
from docs.markdown import Block, blocks, read, section
from playerstate.core.check import Checker
from playerstate.core.judgement import judge
from playerstate.core.model import Key, Op, Status, Update
from playerstate.core.replica import Replica
from playerstate.core.schema import KeySpec, parse_schema
from playerstate.core.types import DATA_TYPES

PAGE = read("docs/data-types.md")
SCHEMA = parse_schema("\n".join(block.text for block in blocks(PAGE) if block.language == "toml"))
CHECKER = Checker(SCHEMA)
EXAMPLES = [block for block in blocks(PAGE) if block.language == "json"]
TYPES = dict(re.findall(r"^\| \[(\w+)\]\(#([\w-]+)\)", PAGE, re.MULTILINE))
"""What the table lists: a type, and the heading under which it stands."""


def operations(block: Block) -> list[Op]:
    return [msgspec.json.decode(line, type=Op) for line in block.text.splitlines()]


def test_every_type_is_declared_and_every_operation_shown() -> None:
    """Under a heading of its own, which the table links to."""
    assert {spec.type for spec in SCHEMA.keys.values()} == set(DATA_TYPES)
    shown = {(SCHEMA.keys[op.state_key].type, op.op) for block in EXAMPLES for op in operations(block)}
    assert shown == {(name, op) for name, data_type in DATA_TYPES.items() for op in data_type.arguments}
    assert set(TYPES) == set(DATA_TYPES)


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"line {block.line}")
def test_examples_are_taken(block: Block) -> None:
    """Every operation that is shown can be sent."""
    for op in operations(block):
        CHECKER.check(Update([op], "game-1", 1, NOW_MS))


@pytest.mark.parametrize("heading", sorted({anchor.replace("-", " ") for anchor in TYPES.values()}))
def test_readers_see_what_the_page_says(heading: str) -> None:
    """After a type's examples, applied in their order, what is told of the last one's key."""
    replicas: dict[Key, Replica] = {}
    examples = re.findall(r"```json\n(.*?)```\s+Readers then see `([^`]+)`", section(PAGE, heading), re.DOTALL)
    assert examples
    sequence = 0
    for lines, told in examples:
        for op in operations(Block("json", lines, 0)):
            sequence += 1
            replicas.setdefault(op.key, Replica(op.key, SCHEMA.keys[op.state_key], 1, "a", {}, None))
            assert judge(Update([op], "game-1", sequence, NOW_MS), NOW_MS, [replicas[op.key]]).status is Status.APPLIED
            last = replicas[op.key]
        assert last.data_type.value(last.state, last.spec) == msgspec.json.decode(told)


def test_limits_are_those_of_the_code() -> None:
    """The numbers in brackets are the defaults."""
    spec = KeySpec(type="set")
    assert f"`max_length` ({spec.max_length:,})" in PAGE
    assert set(re.findall(r"`max_entries`\s+\(([\d,]+)\)", PAGE)) == {f"{spec.max_entries:,}"}
