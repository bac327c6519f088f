"""What histories say that a value must be: versions decide what had seen what, without a data type's help."""

from __future__ import annotations

from typing import Any

import pytest

from playerstate.core.model import Effect, Identity, Json, Op
from playerstate.core.schema import KeySpec
from playerstate.core.version_vector import parse_vector
from playerstate.replay.explain import Deed, amounts, standing, unexplained


def deed(
    region: str, step: int, name: str, /, *, seen: str = "", effect: Effect | None = None, **arguments: Any
) -> Deed:
    """A step of a region, which had seen its own earlier ones and `seen` of the others."""
    op = Op("ada", "key", name, **arguments)
    known = {**parse_vector(seen), region: step - 1}
    return Deed(Identity(region, step, "ada", "key"), op, effect or Effect(name), region, step, known)


def fits(kind: Any, value: Json, *deeds: Deed) -> bool:
    return unexplained(KeySpec(type=kind), deeds, value) is None


def test_only_what_nobody_who_saw_it_followed_stands() -> None:
    """A later step of the region, or a step elsewhere whose version counts it."""
    one, two = deed("a", 1, "set", value=1), deed("b", 1, "set", value=2)
    three = deed("b", 2, "set", seen="a:1", value=3)
    assert standing([one, two]) == [one, two]
    assert standing([one, two, three]) == [three]


def test_amounts_are_summed_from_operations_and_worked_out_ones_from_the_history() -> None:
    """`set` and `replace` mean what they came to where they were applied."""
    deeds = [
        deed("a", 1, "add", item="ore", n=5),
        deed("b", 1, "subtract", item="ore", n=2),
        deed("b", 2, "set", item="gem", n=9, effect=Effect("set", 4, "gem")),
        deed("a", 2, "replace", items={}, effect=Effect("replace", deltas={"ore": -3, "gem": 1})),
    ]
    assert {item: sum(by_update.values()) for item, by_update in amounts(deeds).items()} == {"ore": 0, "gem": 5}
    assert fits("inventory", {"gem": 5}, *deeds)
    assert not fits("inventory", {"gem": 5, "ore": 3}, *deeds)


@pytest.mark.parametrize(
    ("kind", "deeds", "right", "wrong"),
    [
        ("counter", [deed("a", 1, "add", n=5), deed("b", 1, "add", n=-2)], [3], [5, "3", None]),
        ("counter", [deed("a", 1, "add", n=2**53), deed("b", 1, "add", n=1)], [str(2**53 + 1)], [2**53]),
        ("max_register", [deed("a", 1, "set", value=5), deed("b", 1, "set", value=3)], [5], [3]),
        ("min_register", [deed("a", 1, "set", value=5), deed("b", 1, "set", value=3)], [3], [5]),
        ("max_register", [], [None], [0]),
        ("register", [deed("a", 1, "set", value=1), deed("b", 1, "set", value=True)], [1, True], [None, 2]),
        ("register", [deed("a", 1, "set", value=1), deed("b", 1, "set", seen="a:1", value=2)], [2], [1]),
        ("multi_register", [deed("b", 1, "set", value=1), deed("a", 1, "set", value=2)], [[2, 1]], [[1], [1, 2]]),
        ("flag", [deed("a", 1, "enable"), deed("b", 1, "disable")], [True], [False]),
        ("flag", [deed("a", 1, "enable"), deed("b", 1, "disable", seen="a:1")], [False], [True]),
        (
            "set",
            [
                deed("a", 1, "add", elements=["x", "y"]),
                deed("b", 1, "remove", seen="a:1", elements=["x", "y"]),
                deed("a", 2, "add", elements=["x"]),
            ],
            [["x"]],
            [[], ["x", "y"]],
        ),
        (
            "map",
            [
                deed("a", 1, "set", field="f", value=1),
                deed("b", 1, "set", field="f", value=2),
                deed("b", 2, "set", field="g", value=3),
                deed("a", 2, "remove", seen="b:2", field="g"),
            ],
            [{"f": 1}, {"f": 2}],
            [{}, {"f": 3}, {"f": 1, "g": 3}, {"f": [1, 2]}],
        ),
    ],
)
def test_values_are_explained_or_not(kind: str, deeds: list[Deed], right: list[Json], wrong: list[Json]) -> None:
    """One value, or one of several where readers are shown one of several."""
    assert all(fits(kind, value, *deeds) for value in right)
    assert not any(fits(kind, value, *deeds) for value in wrong)


def test_a_bounded_counter_begins_with_its_initial_value() -> None:
    """What was there before anybody wrote is no update's doing."""
    spec = KeySpec(type="bounded_counter", initial=100, home="a")
    assert unexplained(spec, [deed("a", 1, "subtract", n=30)], 70) is None
    assert unexplained(spec, [], 0) == "is 0, and its updates come to 100"
