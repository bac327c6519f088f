"""The plain replay, the oracle of the replays: right by hand, and the same as the core on any operations."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from elite_journals.format import EliteJournal
from elite_journals.plain import Insufficient, PlainState, apply_one
from hypothesis import given
from hypothesis import strategies as st

from core_node import CoreNode
from playerstate.core.model import Op, Status, Update
from playerstate.core.schema import parse_schema
from playerstate.replay import identity_of

SCHEMA_TEXT = EliteJournal().schema_text()
TYPES = {key: str(spec.type) for key, spec in parse_schema(SCHEMA_TEXT).keys.items()}


def op(state_key: str, name: str, **arguments: Any) -> Op:
    return Op("F1", state_key, name, **arguments)


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        (5, op("credits", "add", n=2), 7),
        (5, op("credits", "subtract", n=5), 0),
        (5, op("credits", "set", n=1), 1),
        ({"b": 1}, op("cargo", "add", item="a", n=2), {"a": 2, "b": 1}),
        ({"a": 2}, op("cargo", "subtract", item="a", n=2), {}),
        ({"a": 2}, op("cargo", "replace", items={"b": 1}), {"b": 1}),
        (["a"], op("friends", "add", elements=["b", "a"]), ["a", "b"]),
        (["a"], op("friends", "remove", elements=["a", "c"]), []),
        ({}, op("presence", "set", field="a", value="Online"), {"a": "Online"}),
        ({"a": "Online"}, op("presence", "remove", field="a"), {}),
        (False, op("on_foot", "enable"), True),
        (None, op("rank_cqc", "set", value=0), 0),
        (3, op("rank_cqc", "set", value=2), 3),
        ({"system": "Sol"}, op("position", "set", value=None), None),
    ],
    ids=str,
)
def test_one_operation(before: Any, operation: Op, after: Any) -> None:
    """Each operation does what its name says, and leaves the value before it alone."""
    kept = msgspec.json.encode(before)
    assert apply_one(TYPES[operation.state_key], before, operation) == after
    assert msgspec.json.encode(before) == kept


@pytest.mark.parametrize("operation", [op("credits", "subtract", n=6), op("cargo", "subtract", item="a", n=1)], ids=str)
def test_nothing_goes_below_zero(operation: Op) -> None:
    """There is no debt, in credits or in goods."""
    with pytest.raises(Insufficient):
        apply_one(TYPES[operation.state_key], 5 if operation.state_key == "credits" else {}, operation)


def test_an_update_takes_effect_as_a_whole_or_not_at_all() -> None:
    """A refused operation takes back those before it."""
    state = PlainState(TYPES)
    assert not state.apply([op("cargo", "add", item="gold", n=1), op("credits", "subtract", n=1)])
    assert state.players["F1"]["cargo"] == {}
    assert state.apply(
        [op("credits", "add", n=5), op("credits", "subtract", n=5), op("cargo", "add", item="gold", n=1)]
    )
    assert (state.players["F1"]["credits"], state.players["F1"]["cargo"]) == (0, {"gold": 1})


def test_snapshots_after_the_first_are_compared_with_what_was_there() -> None:
    """The first has nothing to be compared with; a register's `set` is no snapshot."""
    state = PlainState(TYPES)
    for n in (100, 90, 90):
        state.apply([op("credits", "set", n=n)])
        state.apply([op("position", "set", value=n)])
    assert state.intervals == {"credits": [False, True]}


names = st.sampled_from(["a", "b"])
amounts = st.integers(0, 5)
operations = st.one_of(
    st.builds(lambda name, n: op("credits", name, n=n), st.sampled_from(["add", "subtract", "set"]), amounts),
    st.builds(
        lambda name, item, n: op("cargo", name, item=item, n=n),
        st.sampled_from(["add", "subtract", "set"]),
        names,
        amounts,
    ),
    st.builds(lambda items: op("cargo", "replace", items=items), st.dictionaries(names, amounts)),
    st.builds(
        lambda name, e: op("friends", name, elements=e), st.sampled_from(["add", "remove"]), st.lists(names, min_size=1)
    ),
    st.builds(lambda f, v: op("presence", "set", field=f, value=v), names, st.sampled_from(["Online", "Offline"])),
    st.builds(lambda f: op("presence", "remove", field=f), names),
    st.builds(lambda name: op("on_foot", name), st.sampled_from(["enable", "disable"])),
    st.builds(lambda n: op("rank_cqc", "set", value=n), amounts),
    st.builds(lambda v: op("position", "set", value=v), st.one_of(st.none(), amounts, names)),
)


@given(st.lists(st.lists(operations, min_size=1, max_size=3), max_size=20))
def test_it_agrees_with_the_core(batches: list[list[Op]]) -> None:
    """Two implementations that share nothing come to the same outcomes and values, whatever the operations."""
    node, plain = CoreNode(SCHEMA_TEXT), PlainState(TYPES)
    for sequence, ops in enumerate(batches, start=1):
        update = Update(ops, f"p{sequence}", 1, node.clock_ms)
        node.send_many([update])
        outcome = node.outcome(identity_of(update))
        assert outcome is not None
        assert plain.apply(ops) == (outcome.status is Status.APPLIED)
        for key, value in plain.players["F1"].items():
            assert node.get("F1", key).decoded() == value
