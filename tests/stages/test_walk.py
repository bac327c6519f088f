"""The walk: everybody whom any part knows is met, in pages, from wherever it was interrupted, to an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from playerstate.core.model import Key, View
from playerstate.core.schema import Edge
from playerstate.errors import NotNow
from playerstate.ports.graph import EdgesOfKey
from playerstate.stages.walk import Page, Walk
from stages.test_verify import befriend
from stages.verifying import Silent, watch
from stages.world import World, update

STORED = ["a", "a:b", "b", "graph:x", "käthe", "z😀"]


@pytest.fixture
def world() -> World:
    """Players in the store, who are in cache and graph too, and some that only one of those has."""
    world = World()
    for name in STORED:
        ops = [{"player_id": name, "state_key": key, "op": "add", "n": 5} for key in ("gold", "level_points")]
        world.put_updates(update(ops[0]), befriend("led to", player_id=name))
    world.step_all()
    for name in ("ghost", "cache:ghost", "zz"):
        world.cache.put([View(name, "gold", "x:1", msgspec.Raw(b"1"))])
    world.graph.sync([EdgesOfKey(Key("shade", "friends"), Edge("FRIEND"), 3, ["a", "end"])])
    return world


def walked(page: Callable[[str, int], Page], limit: int, cursor: str = "") -> list[Page]:
    """All pages from a cursor to the end."""
    pages = []
    while not pages or cursor:
        pages.append(page(cursor, limit))
        cursor = pages[-1].cursor
        assert len(pages) < 200, "the walk does not end"
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_everybody_is_met_where_he_is(world: World, limit: int) -> None:
    """Who has something in the store is met there, once; who has it only in cache or graph is met there."""
    pages = walked(Walk(watch(world).parts).page, limit)
    met = Counter(player_id for page in pages for player_id in page.players)
    assert met == Counter([*STORED, "ghost", "cache:ghost", "zz", "shade", "led to", "end"])
    assert sum(page.keys for page in pages) >= len(STORED)
    assert sum(page.keys for page in walked(Walk(watch(world).parts).page, 100)) == 2 * len(STORED)


@pytest.mark.parametrize("limit", [1, 3])
def test_a_walk_goes_on_from_any_of_its_cursors(world: World, limit: int) -> None:
    """Another one does, too, as if it had never been interrupted."""
    pages = walked(Walk(watch(world).parts).page, limit)
    for at, page in enumerate(pages[:-1], 1):
        assert walked(Walk(watch(world).parts).page, limit, page.cursor) == pages[at:]


def test_a_walk_through_nothing_ends() -> None:
    """Nobody is met."""
    pages = walked(Walk(watch(World()).parts).page, 10)
    assert [page.players for page in pages] == [[]] * len(pages)


def test_who_comes_and_goes_holds_up_nobody(world: World) -> None:
    """Players that are written while the walk goes on may be met or not; all others are, and it ends."""
    walk, n = Walk(watch(world).parts), 0

    def page(cursor: str, limit: int) -> Page:
        nonlocal n
        n += 1
        if n < 50:
            world.put_updates(update({"player_id": f"new{n % 10}", "op": "add", "n": 1}, producer="new", sequence=n))
            world.step_all()
            world.cache.evict(f"new{n % 3}")
        return walk.page(cursor, limit)

    met = {player_id for page in walked(page, 2) for player_id in page.players}
    assert met >= {*STORED, "ghost", "cache:ghost", "zz", "shade", "led to", "end"}


def test_a_part_that_does_not_answer(world: World) -> None:
    """The walk stands still there, and goes on when it answers."""
    parts = watch(world).parts
    for part, met in (("cache", ["cache:ghost", "ghost", "zz"]), ("graph", ["end", "led to", "shade"])):
        with pytest.raises(NotNow):
            Walk(parts._replace(**{part: Silent()})).page(f"{part}:", 100)
        assert walked(Walk(parts).page, 100, f"{part}:")[0].players == met
