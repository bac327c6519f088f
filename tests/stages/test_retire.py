"""Retiring a region that is gone: its rights can be spent again, its rows stay nowhere alone, and twice is as once."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.stream import MemoryCheckpoints
from playerstate.core.model import Key
from playerstate.core.resolution import calls_for, concurrent
from playerstate.core.retirement import RETIRER, heir_of, left_behind, overspent
from playerstate.core.row import join_rows
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import decode_call, encode_call
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.stages.apply import Apply
from stages.regions import KEYS, REGIONS, SCHEMA, Regions
from stages.test_regions import BAG, GOLD, NAME, READERS, Command, commands, do, rows
from stages.world import update


def retired(world: Regions, gone: str = "b", heir: str = "a") -> Regions:
    """All that go on have heard that a region is gone, and of its heir."""
    for name in REGIONS:
        if name != gone:
            world[name].retired[gone] = heir
    return world


def look(world: Regions, region: str) -> dict[str, int]:
    """Have a region look at every key; the rights that it took over, by key."""
    changes = world[region].store.changes
    before = changes.head()
    world.resolve(region)
    taken: Counter[str] = Counter()
    for change in changes.read(before, 10**9):
        for cause in rows_of(change):
            if cause.producer == RETIRER:
                taken[change.key.state_key] += sum(sum((effect.deltas or {}).values()) for effect in cause.effects)
    return dict(taken)


def spend(n: int, **rest: Any) -> Any:
    return update({"op": "subtract", "n": n}, **rest)


def called_for(world: Regions, region: str, key: Key) -> bool:
    """Whether project would hand the key over to the region's resolver."""
    return calls_for(rows(world, region, key), region, SCHEMA.keys[key.state_key], world[region].retired)


def below_minimum(world: Regions, region: str, key: Key) -> dict[str, int]:
    spec = SCHEMA.keys[key.state_key]
    return overspent(join_rows(rows(world, region, key).values(), DATA_TYPES[spec.type]).state, spec)


def test_what_a_region_held_can_be_spent_elsewhere_once_it_is_retired() -> None:
    """Promise 4: before, it is refused as `rights_elsewhere`; a take-over is a step that says what was taken."""
    world = Regions()
    world.send("b", update({"op": "add", "n": 5}, producer="b"))
    world.carry("b", "a")
    assert world.send("a", spend(15)) == "refused:rights_elsewhere"
    assert look(retired(world), "a") == {"gold": 15}
    (cause,) = rows(world, "a", GOLD)["a"].because
    assert (cause.producer, cause.n, cause.sequence) == (RETIRER, 2, 2)
    assert [(effect.op, effect.deltas) for effect in cause.effects] == [("take_over", {"b": 15})]
    assert world.send("a", spend(15, sequence=2)) == "applied"
    assert world["a"].view(GOLD).decoded() == 0


def test_items_are_taken_over_and_what_others_gave_it() -> None:
    """All that a region holds: what it added, what it was given, of every item."""
    world = Regions()
    world.send("b", update({"state_key": "bag", "op": "add", "item": "ore", "n": 3}, producer="b"))
    world.send("a", update({"state_key": "bag", "op": "add", "item": "rope", "n": 4}))
    world.carry("a", "b")
    take = {"state_key": "bag", "op": "subtract", "item": "rope", "n": 2}
    assert world.send("b", update(take, producer="b", sequence=2)) == "refused:rights_elsewhere"
    world.settle()
    assert look(retired(world, heir="c"), "c") == {"bag": 5, "gold": 10}
    assert world.send("c", update({**take, "item": "ore", "n": 3}, producer="c")) == "applied"
    assert world.send("c", update(take, producer="c", sequence=2)) == "applied"


def test_twice_is_as_once_and_late_rows_bring_the_rest() -> None:
    """Nothing is taken twice; what becomes known later is taken then, and no more than that."""
    world = retired(Regions())
    world.send("b", update({"op": "add", "n": 5}, producer="b"))
    assert [look(world, "a") for _ in range(3)] == [{"gold": 10}, {}, {}]
    assert world.resolve("a") == 0
    world.carry("b", "a")
    assert [look(world, "a") for _ in range(2)] == [{"gold": 5}, {}]
    assert world.send("a", spend(15)) == "applied"


def test_what_it_had_spent_and_not_replicated_is_told() -> None:
    """Promise 4 ends here: the value falls by what nobody knew of, everybody sees how much, and nobody adds to it."""
    world = retired(Regions())
    world.send("b", spend(4, producer="b"))
    assert world.send("a", spend(10)) == "applied"
    assert below_minimum(world, "a", GOLD) == {}
    for region in "ac":
        world.carry("b", region)
    world.settle(without="b")
    assert [below_minimum(world, region, GOLD) for region in "ac"] == [{"": 4}] * 2
    assert world["c"].view(GOLD).decoded() == -4
    assert look(world, "a") == {}
    assert world.send("c", spend(1, producer="c")) == "refused:insufficient"


def test_rights_that_nobody_has_asked_for_yet_are_the_heirs() -> None:
    """A key that nobody has written has its starting rights at its home, also when that is gone."""
    world = retired(Regions(), heir="c")
    assert world.send("c", spend(2, producer="c")) == "applied"
    assert world.send("a", spend(6)) == "refused:rights_elsewhere"
    world.settle(without="b")
    assert world.send("a", spend(6, sequence=2)) == "applied"
    assert world.send("c", spend(2, producer="c", sequence=2)) == "applied"


def test_nobody_gives_to_the_retired() -> None:
    """What it wanted is void."""
    world = retired(Regions(), gone="a", heir="b")
    assert world.send("a", spend(6)) == "refused:rights_elsewhere"
    world.carry("a", "b")
    world.settle(without="a")
    assert rows(world, "b", GOLD)["b"].state == {"a": [0, {}, 6]}
    assert world.send("b", spend(10, producer="b")) == "applied"


def test_heirs_have_heirs() -> None:
    """Who takes over from a region that had taken over takes that too; and who was retired itself does nothing."""
    world = retired(Regions(), gone="b", heir="a")
    assert look(world, "a") == {"gold": 10}
    world.carry("a", "c")
    world["c"].retired["a"] = world["a"].retired["a"] = "c"
    assert world.resolve("a") == 0
    assert look(world, "c") == {"gold": 10}
    assert world.send("c", spend(10, producer="c")) == "applied"
    assert [heir_of(region, world["c"].retired) for region in REGIONS] == ["c", "c", "c"]
    assert heir_of("a", {"a": "b", "b": "a"}) in ("a", "b")


def test_a_row_that_reached_one_region_reaches_all() -> None:
    """Promise 3: what a region that is gone had told one other only, that one tells the rest."""
    world = retired(Regions(), gone="a", heir="b")
    world.send("a", update({"state_key": "name", "op": "set", "value": "x"}))
    world.carry("a", "c")
    world.settle(without="a")
    assert world["b"].view(NAME) == world["c"].view(NAME)
    assert world["b"].view(NAME).decoded() == "x"
    assert set(rows(world, "b", NAME)) == {"c"}


def test_the_retirement_itself_brings_rows_forth() -> None:
    """In every region: the heir takes over, the others only see to the rows; once."""
    world = Regions()
    world.send("a", update({"state_key": "name", "op": "set", "value": "x"}))
    world.send("a", update({"op": "add", "n": 3}, sequence=2))
    world.carry("a", "c")
    retired(world, gone="a", heir="b")
    assert world.resolve("c") == 2
    assert rows(world, "c", GOLD)["c"].because == []
    assert world.resolve("c") == 0
    world.carry("c", "b")
    assert look(world, "b") == {"gold": 3}


def test_of_the_living_one_joins() -> None:
    """The first by name of those that are not gone, or rows would stay concurrent for good."""
    world = Regions()
    for region in REGIONS:
        world.send(region, update({"state_key": "name", "op": "set", "value": region}, producer=region))
    for source, target in (("a", "b"), ("a", "c"), ("b", "c"), ("c", "b")):
        world.carry(source, target)
    assert [world.resolve(region) for region in "cb"] == [0, 0]
    world["b"].retired["a"] = "c"  # which has not heard of it yet
    assert [world.resolve(region) for region in "cb"] == [0, 1]
    world.settle(without="a")
    assert rows(world, "c", NAME)["b"].vector == {"a": 1, "b": 1, "c": 1}


def test_of_the_living_one_joins_also_what_the_gone_left_to_nobody() -> None:
    """The row of a region that is gone stays, covered by another; it is no candidate, or nobody would join."""
    world = Regions()
    for region in REGIONS:
        world.send(region, update({"state_key": "name", "op": "set", "value": region}, producer=region))
        if region == "a":
            world.carry("a", "b")
    for source, target in (("c", "b"), ("a", "c"), ("b", "c")):
        world.carry(source, target)
    retired(world, gone="a", heir="c")
    assert concurrent(rows(world, "b", NAME).values())
    assert not left_behind(rows(world, "b", NAME), world["b"].retired)
    assert [called_for(world, region, NAME) for region in "cb"] == [False, True]
    assert [world.resolve(region) for region in "cb"] == [0, 1]
    assert rows(world, "b", NAME)["b"].vector == {"a": 1, "b": 1, "c": 1}


def test_what_is_below_its_minimum_is_told_by_a_call_too() -> None:
    """A row that comes after every key was looked at is a call's; nothing can be done, but it has to be told."""
    world = retired(Regions())
    world.send("b", spend(4, producer="b"))
    world.send("a", spend(10))
    queue, letters = MemoryQueue(world.clock, Random(0)), MemoryDeadLetters()
    resolver = ResolveConsumer(queue, world["a"].resolve, MemoryCheckpoints(), letters, world.clock)
    while resolver.step():
        pass
    assert letters.list() == []
    world.carry("b", "a")
    world.resolve("a")
    assert called_for(world, "a", GOLD)
    queue.send([encode_call(GOLD)])
    resolver.step()
    (letter,) = letters.list()
    assert (letter.stage, letter.code, decode_call(letter.body).key) == ("resolve", "overspent", GOLD)
    assert "below its minimum (it by 4)" in letter.reason
    world["a"].retired.clear()
    assert not called_for(world, "a", GOLD)


def test_copies_that_apply_has_kept_go_with_a_retirement() -> None:
    """They were made before there was anything to take over."""
    world = Regions()
    a = world["a"]
    heard = lambda: dict(a.retired)  # noqa: E731
    a.apply = Apply(SCHEMA, "a", a.store, MemoryDeadLetters(), world.clock, kept_max=10, retired=heard)
    assert world.send("a", spend(10)) == "refused:rights_elsewhere"
    retired(world)
    assert world.send("a", spend(10, sequence=2)) == "applied"


@given(
    before=st.lists(commands, max_size=20),
    after=st.lists(commands, max_size=20),
    gone=st.sampled_from(REGIONS),
    heir=st.sampled_from(REGIONS),
    late=st.booleans(),
    seed=st.integers(0, 3),
)
def test_whatever_was_on_its_way_the_living_converge(
    before: list[Command], after: list[Command], gone: str, heir: str, late: bool, seed: int
) -> None:
    """Promises 3 and 4: all who go on show the same, and below the minimum is only what was spent and not known."""
    world = Regions()
    if gone == heir:
        heir = next(region for region in REGIONS if region != gone)
    for sequence, command in enumerate(before, start=1):
        do(world, command, sequence)
    unknown: Counter[str] = Counter()
    for change in world[gone].store.changes.read(0, 10**9):
        known = [row.vector.get(gone, 0) for row in rows(world, heir, change.key).values()]
        if change.region == gone:
            for cause in rows_of(change):
                if cause.n > max(known, default=0):
                    for effect in cause.effects:
                        out = sum((effect.deltas or {}).values()) - (effect.delta or 0)
                        unknown[effect.item or change.key.state_key] += max(out, 0)
    retired(world, gone, heir)
    look(world, heir)
    for sequence, command in enumerate(after, start=100):
        where = (command.region,) if not hasattr(command, "source") else (command.source, command.target)
        if gone not in where[-1:] and (late or gone not in where):
            do(world, command, sequence)
        for region in REGIONS:
            if region != gone:
                assert world[region].view(GOLD).decoded() >= -unknown["gold"]
                assert all(n >= -unknown[item] for item, n in world[region].view(BAG).decoded().items())
    world.settle(seed=seed, without=gone)
    living = [region for region in REGIONS if region != gone]
    for key in KEYS:
        assert len({msgspec.json.encode(world[region].view(key)) for region in living}) == 1
    gold = world[heir].view(GOLD).decoded()
    # whatever it is, it can be spent; after some tries, for what others had asked for and not got goes to them too
    for sequence in range(1, 9):
        if gold <= 0 or world.send(heir, spend(gold, producer="last", sequence=sequence)) == "applied":
            break
        world.settle(seed=seed, without=gone)
    assert world[heir].view(GOLD).decoded() == min(gold, 0)


def rows_of(change: Any) -> list[Any]:
    """The causes in a change's new row."""
    return list(READERS[change.key.state_key].decode(change.new).because)
