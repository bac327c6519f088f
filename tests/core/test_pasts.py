"""How an update stands among others, where histories of several regions are known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from builders import NOW_MS
from playerstate.core.findings import VERIFIER
from playerstate.core.model import Cause, Effect, Key, Op, Status, Transition
from playerstate.core.pasts import Past, past_of
from playerstate.core.schema import TypeName, parse_schema
from playerstate.core.undoing import inverse
from playerstate.errors import InvalidUpdate

KEY = Key("ada", "it")


def write(region: str, version: str, *causes: Cause, before: Any = None) -> Transition:
    steps = [cause.n for cause in causes]
    raw = msgspec.Raw(msgspec.json.encode(before))
    return Transition(*KEY, region, steps[0], steps[-1], NOW_MS, "", version, raw, msgspec.Raw(b"0"), list(causes))


def did(n: int, *effects: Effect, status: Status = Status.APPLIED) -> Cause:
    return Cause(n, "game", n, NOW_MS, NOW_MS, list(effects), status)


SET = Effect("set")


def test_updates_are_told_apart_by_what_had_seen_what() -> None:
    """Of one write by their steps, of several regions by versions; what had no effect counts for nothing."""
    ours = did(5, SET)
    mine = write("a", "a:6,b:2", did(4, SET), ours, did(6, SET))
    since = [
        write("a", "a:9,b:4", did(8, SET), did(9, SET, status=Status.REFUSED)),
        write("b", "a:6,b:4", did(4, SET)),
        write("b", "a:3,b:3", did(3, SET)),
        write("b", "a:3,b:2", did(2, SET)),
        mine,
    ]
    past = past_of(KEY, ours, mine, since)
    assert [cause.n for cause in past.earlier] == [4]
    assert sorted(cause.n for cause in past.later) == [4, 6, 8]
    assert [cause.n for cause in past.concurrent] == [3]


def test_a_row_that_verification_wrote_once_more_decides_nothing() -> None:
    """Here or in another region, before or after; the update can be undone as before."""
    ours = did(5, SET)
    anew = Cause(6, VERIFIER, 6, NOW_MS, NOW_MS, [Effect("write_anew")])
    mine = write("a", "a:6,b:2", structs.replace(anew, n=4, sequence=4), ours, anew)
    since = [write("a", "a:7,b:2", structs.replace(anew, n=7)), write("b", "b:3", structs.replace(anew, n=3)), mine]
    past = past_of(KEY, ours, mine, since)
    assert [past.earlier, past.later, past.concurrent] == [[], [], []]


def undone(type_name: TypeName, cause: Cause, *, before: Any, **around: list[Cause]) -> list[Op] | str:
    """What undoes it, or the code of why it cannot be."""
    schema = parse_schema(f'[game]\nname = "t"\nversion = 1\n[keys.it]\ntype = "{type_name}"')
    past = Past(KEY, cause, msgspec.Raw(msgspec.json.encode(before)), [], [], [])._replace(**around)
    try:
        return inverse([past], schema).ops
    except InvalidUpdate as exc:
        return exc.code


@pytest.mark.parametrize("type_name", ["register", "multi_register", "map", "flag", "set"])
def test_what_was_done_elsewhere_at_the_same_time_leaves_it_open(type_name: TypeName) -> None:
    """Nobody can say what would be there without the update; of another name, it does not matter."""
    effect, other = {
        "flag": (Effect("enable", idle=[]), None),
        "set": (Effect("add", elements=["x"], idle=[]), Effect("add", elements=["y"], idle=[])),
        "map": (Effect("set", field="x"), Effect("remove", field="y", idle=[])),
    }.get(type_name, (SET, None))
    before = {"map": {}, "set": [], "multi_register": [1]}.get(type_name)
    assert undone(type_name, did(1, effect), before=before, concurrent=[did(1, effect)]) == "cannot_be_known"
    assert isinstance(undone(type_name, did(1, effect), before=before), list)
    if other:
        assert isinstance(undone(type_name, did(1, effect), before=before, concurrent=[did(1, other)]), list)


def test_a_removal_that_had_not_seen_it_decides_nothing() -> None:
    """It left what the update added, so that undoing takes it out; one that found nothing there does decide."""
    added, removed = Effect("add", elements=["x"], idle=[]), Effect("remove", elements=["x"], idle=[])
    idle = Effect("remove", elements=["x"], idle=["x"])
    assert undone("set", did(1, added), before=[], later=[did(2, idle)]) == [Op(*KEY, "remove", elements=["x"])]
    assert undone("set", did(1, removed), before=["x"], later=[did(2, idle)]) == "overwritten"
    written, idle = Effect("set", field="x"), Effect("remove", field="x", idle=["x"])
    assert undone("map", did(1, written), before={}, later=[did(2, idle)]) == [Op(*KEY, "remove", field="x")]
    assert undone("map", did(1, idle), before={}) == "nothing_to_undo"


def test_what_was_recorded_before_it_was_recorded_what_was_there_is_not_guessed() -> None:
    """Whether an element was added by an update, or had been there, older records do not say."""
    assert undone("set", did(1, Effect("add", elements=["x"])), before=[]) == "cannot_be_known"
    assert undone("flag", did(1, Effect("enable")), before=False) == "cannot_be_known"


def test_several_operations_of_an_update_are_undone_together() -> None:
    """By what they came to, what goes first, so that there is room for what comes back."""
    effects = Effect("add", 5, "a"), Effect("replace", deltas={"b": 2, "c": -1}), Effect("subtract", -5, "a")
    assert undone("inventory", did(1, *effects), before={}) == [
        Op(*KEY, "subtract", item="b", n=2),
        Op(*KEY, "add", item="c", n=1),
    ]
    many = Effect("replace", deltas={f"i{n}": 1 for n in range(26)})
    assert undone("inventory", did(1, many), before={}) == "too_many_operations"
    in_and_out = Effect("add", elements=["x"], idle=[]), Effect("remove", elements=["x"], idle=[])
    assert undone("set", did(1, *in_and_out), before=[]) == "nothing_to_undo"
    assert undone("register", did(1, SET), before=3, earlier=[did(0, Effect("erase", field="why"))]) == [
        Op(*KEY, "set", value=3)
    ]
    assert undone("register", did(1, Effect("erase", field="why")), before=3) == "cannot_be_undone"
