"""Several regions: they converge, come to rest, give rights where they are wanted, and never overspend."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.fitting import ROW_BYTES_MAX
from playerstate.core.model import Key
from playerstate.core.resolution import RESOLVER
from playerstate.core.row import Row
from playerstate.core.version_vector import covers
from playerstate.core.wire import row_readers
from playerstate.stages import resolve
from stages.regions import KEYS, REGIONS, SCHEMA, Regions
from stages.world import update

BAG, GOLD, NAME = Key("ada", "bag"), Key("ada", "gold"), Key("ada", "name")
READERS = row_readers(SCHEMA)


class Send(NamedTuple):
    region: str
    op: dict[str, Any]


class Carry(NamedTuple):
    source: str
    target: str
    changes: int
    again: int


class Resolve(NamedTuple):
    region: str


Command: TypeAlias = Send | Carry | Resolve

regions = st.sampled_from(REGIONS)
amounts = st.integers(1, 9)
ops = st.one_of(
    st.builds(lambda op, n: {"state_key": "gold", "op": op, "n": n}, st.sampled_from(["subtract", "add"]), amounts),
    st.builds(
        lambda op, item, n: {"state_key": "bag", "op": op, "item": item, "n": n},
        st.sampled_from(["add", "subtract"]),
        st.sampled_from(["ore", "rope"]),
        amounts,
    ),
    st.builds(lambda v: {"state_key": "name", "op": "set", "value": v}, st.sampled_from(["x", "y"])),
)
commands = st.one_of(
    st.builds(Send, regions, ops),
    st.builds(Send, regions, ops),
    st.builds(
        lambda pair, changes, again: Carry(*pair, changes, again),
        st.permutations(REGIONS).map(lambda names: tuple(names[:2])),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    st.builds(Resolve, regions),
    st.builds(Resolve, st.just("b")),  # which holds the rights that the others want
)


def rows(world: Regions, region: str, key: Key) -> dict[str, Row[Any]]:
    stored = world[region].store.load([key])[key]
    return {owner: READERS[key.state_key].decode(body) for owner, body in stored.items()}


def do(world: Regions, command: Command, sequence: int) -> str:
    if isinstance(command, Send):
        return world.send(command.region, update(command.op, producer=f"server-{command.region}", sequence=sequence))
    if isinstance(command, Carry):
        world.carry(command.source, command.target, changes=command.changes, again=command.again)
    else:
        world.resolve(command.region)
    return ""


@given(schedule=st.lists(commands, max_size=40), seed=st.integers(0, 3))
def test_regions_converge_and_never_overspend(schedule: list[Command], seed: int) -> None:
    """Promises 3 and 4: nothing is ever below zero; at rest every region shows the sum of what was answered applied."""
    world = Regions()
    totals: Counter[str] = Counter(gold=10)
    for sequence, command in enumerate(schedule, start=1):
        outcome = do(world, command, sequence)
        if outcome == "applied" and isinstance(command, Send):
            sign = -1 if command.op["op"] == "subtract" else 1
            totals[command.op.get("item", command.op["state_key"])] += sign * command.op.get("n", 0)
        for region in REGIONS:
            assert world[region].view(GOLD).decoded() >= 0
            assert all(n > 0 for n in world[region].view(BAG).decoded().values())
    world.settle(seed=seed)
    for key in KEYS:
        assert len({msgspec.json.encode(world[region].view(key)) for region in REGIONS}) == 1
        contents = [rows(world, region, key) for region in REGIONS]
        assert contents[0] == contents[1] == contents[2]
        vectors = [row.vector for row in contents[0].values()]
        assert not vectors or any(all(covers(one, other) for other in vectors) for one in vectors)
    view = world["a"].view(GOLD)
    assert view.decoded() == totals["gold"]
    assert world["a"].view(BAG).decoded() == {item: totals[item] for item in ("ore", "rope") if totals[item]}


def test_a_second_try_has_the_rights_that_the_first_one_wanted() -> None:
    """Promise 4, seen from a player: what another region holds is given over, and then it can be spent here."""
    world = Regions()
    assert world.send("a", update({"op": "subtract", "n": 4})) == "refused:rights_elsewhere"
    assert world.send("a", update({"op": "subtract", "n": 4}, sequence=2)) == "refused:rights_elsewhere"
    world.settle()
    assert world.send("a", update({"op": "subtract", "n": 4}, sequence=3)) == "applied"
    assert world.send("a", update({"op": "subtract", "n": 1}, sequence=4)) == "refused:rights_elsewhere"
    assert world["a"].view(GOLD).decoded() == 6


def test_rights_are_given_once_and_say_so() -> None:
    """A gift is a step of the giver's, with a cause that names who got how much; nothing follows from it but itself."""
    world = Regions()
    world.send("a", update({"op": "subtract", "n": 4}))
    world.carry("a", "b")
    assert [world.resolve("b"), world.resolve("b")] == [1, 0]
    (cause,) = rows(world, "b", GOLD)["b"].because
    assert (cause.producer, cause.n) == (RESOLVER, 1)
    assert [(effect.op, effect.deltas) for effect in cause.effects] == [("give", {"a": 4})]
    assert world["b"].view(GOLD).decoded() == 10


def test_a_giver_keeps_what_it_does_not_have() -> None:
    """Where less is left than is wanted, that is given; what is spent meanwhile cannot be given any more."""
    world = Regions()
    world.send("a", update({"op": "subtract", "n": 8}))
    world.carry("a", "b")
    assert world.send("b", update({"op": "subtract", "n": 7}, producer="b")) == "applied"
    world.settle()
    assert world.send("a", update({"op": "subtract", "n": 3}, sequence=2)) == "applied"
    last = {"op": "subtract", "n": 1}
    assert world.send("b", update(last, producer="b", sequence=2)) == "refused:rights_elsewhere"  # as far as it knows
    world.settle()
    assert world.send("b", update(last, producer="b", sequence=3)) == "refused:insufficient"


def test_one_region_joins_what_is_concurrent() -> None:
    """The first by name; the others leave it to that one, and a join takes no step."""
    world = Regions()
    for region in ("b", "c"):
        world.send(region, update({"state_key": "name", "op": "set", "value": region}, producer=region))
    for source, target in (("b", "c"), ("c", "b"), ("b", "a"), ("c", "a")):
        world.carry(source, target)
    before = world["c"].view(NAME)
    assert [world.resolve(region) for region in ("a", "c", "b")] == [0, 0, 1]
    joined = rows(world, "b", NAME)["b"]
    assert (joined.vector, joined.because) == ({"b": 1, "c": 1}, [])
    world.settle()
    assert world["c"].view(NAME) == before
    assert set(rows(world, "c", NAME)) == {"b", "c"}


def test_a_join_that_no_row_can_hold_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers go on joining. A gift is written all the same: it is a step, and makes the row hardly larger."""
    world = Regions()
    for region in ("b", "c"):
        world.send(region, update({"state_key": "name", "op": "set", "value": region}, producer=region))
    world.send("c", update({"op": "subtract", "n": 4}, producer="c"))
    world.carry("c", "b")
    before, shown = rows(world, "b", NAME), world["b"].view(NAME)
    largest = max(len(body) for body in world["b"].store.load([NAME])[NAME].values())
    monkeypatch.setattr(resolve, "ROW_BYTES_MAX", largest)
    assert world.resolve("b") == 1
    assert rows(world, "b", GOLD)["b"].because != []
    assert (rows(world, "b", NAME), world["b"].view(NAME)) == (before, shown)
    monkeypatch.setattr(resolve, "ROW_BYTES_MAX", ROW_BYTES_MAX)
    assert world.resolve("b") == 1
    assert rows(world, "b", NAME)["b"].vector == {"b": 1, "c": 1}


def test_a_row_that_changed_meanwhile_comes_again() -> None:
    """The resolver writes on condition, like everyone; what it could not write it names."""
    world = Regions()
    region = world["b"]
    for name in ("b", "c"):
        world.send(name, update({"state_key": "name", "op": "set", "value": name}, producer=name))
    world.carry("c", "b")
    load = region.store.load

    def load_and_be_overtaken(keys: Any) -> Any:
        loaded = load(keys)
        region.store.load = load  # type: ignore[method-assign]
        world.send("b", update({"state_key": "name", "op": "set", "value": "new"}, producer="b", sequence=2))
        return loaded

    region.store.load = load_and_be_overtaken  # type: ignore[method-assign]
    resolved = region.resolve.handle([NAME, NAME])
    assert (resolved.rows_written, resolved.again, resolved.joined) == (0, [NAME], 0)
    assert region.view(NAME).decoded() == "new"


def test_conflicts_are_counted_where_they_are_resolved() -> None:
    """A join of concurrent rows is one, a gift is none, and what could not be written is not counted."""
    world = Regions()
    for region in ("b", "c"):
        world.send(region, update({"state_key": "name", "op": "set", "value": region}, producer=region))
    world.send("c", update({"op": "subtract", "n": 4}, producer="c"))
    world.carry("c", "b")
    resolved = world["b"].resolve.handle(KEYS)
    assert (resolved.rows_written, resolved.joined) == (2, 1)
    assert world["b"].resolve.handle(KEYS).joined == 0
