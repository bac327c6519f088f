"""What is told of writes: whoever hears all of it, in any order, comes to what the store shows."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.groups import Wants
from playerstate.core.model import Key, Notice
from playerstate.core.version_vector import parse_vector, total
from playerstate.core.wire import decode_notices
from playerstate.stages.project import Group, Project
from stages.regions import KEYS, REGIONS, SCHEMA, Regions
from stages.world import update

NAME = Key("ada", "name")


class Told:
    """Project in one region, and all that it has told."""

    def __init__(self, world: Regions, region: str) -> None:
        self.queue = MemoryQueue(world.clock, Random(0))
        self._store = world[region].store
        groups = [Group(self.queue, Wants.EVERYTHING)]
        self._project = Project(SCHEMA, region, self._store, MemoryCache(), groups, world.clock)
        self._position = 0

    def follow(self) -> None:
        changes = self._store.changes.read(self._position, 10_000)
        if changes:
            self._project.handle(changes)
            self._position = changes[-1].position

    def latest(self) -> dict[Key, Notice]:
        """Of each key the notice with the most steps, which is what a follower without order keeps."""
        found: dict[Key, Notice] = {}
        for message in self.queue.receive(10_000, visibility_s=1):
            for notice in decode_notices(message.body):
                if notice.key not in found or notice.total > found[notice.key].total:
                    found[notice.key] = notice
        return found


def check(world: Regions, told: Told, region: str) -> None:
    told.follow()
    latest = told.latest()
    for key in KEYS:
        view = world[region].view(key) if world[region].store.load([key])[key] else None
        if view is not None:
            assert (latest[key].total, latest[key].after) == (total(parse_vector(view.version)), view.value)


moves = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(REGIONS), st.sampled_from(["gold", "bag", "name"])),
    st.tuples(st.just("carry"), st.permutations(REGIONS).map(lambda names: tuple(names[:2])), st.integers(1, 3)),
    st.tuples(st.just("carry"), st.permutations(REGIONS).map(lambda names: tuple(names[:2])), st.integers(1, 3)),
    st.tuples(st.just("resolve"), st.sampled_from(REGIONS), st.none()),
    st.tuples(st.just("follow"), st.none(), st.none()),
)
OPS = {
    "gold": {"op": "add", "n": 1},
    "bag": {"op": "add", "item": "ore", "n": 1},
    "name": {"op": "set", "value": "x"},
}


@given(st.lists(moves, max_size=40))
def test_followers_come_to_what_the_store_shows(schedule: list[tuple[str, Any, Any]]) -> None:
    """However rows cross, are joined and are told late: the notice of most steps is the view, as in the graph."""
    world = Regions()
    told = Told(world, "b")
    for sequence, (move, who, what) in enumerate(schedule, start=1):
        if move == "send":
            op = {"state_key": what, **OPS[what]}
            world.send(who, update(op, producer=f"server-{who}", sequence=sequence))
        elif move == "carry":
            world.carry(*who, changes=what)
        elif move == "resolve":
            world.resolve(who)
        else:
            told.follow()
    check(world, told, "b")


def test_a_row_that_has_only_taken_others_in() -> None:
    """It comes without a step of its own, and a region may have seen its last step, but not what it has taken in."""
    world = Regions()
    told = Told(world, "b")

    def write(region: str, sequence: int) -> None:
        op = {"state_key": "name", "op": "set", "value": f"{region}{sequence}"}
        world.send(region, update(op, producer=region, sequence=sequence))

    write("a", 1)
    world.carry("a", "b")
    write("b", 1)  # has seen a's only step
    write("c", 1)
    told.follow()
    world.carry("c", "a")
    assert world.resolve("a") == 1  # c's row is taken in, without a step
    world.carry("a", "b")
    check(world, told, "b")
    assert world["b"].view(NAME).version == "a:1,b:1,c:1"
