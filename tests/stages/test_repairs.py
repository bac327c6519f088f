"""Repairs in one region: what is planted in cache, graph or store is found, named, and put right, or left and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, Repair
from playerstate.core.model import Key, View
from playerstate.core.schema import Edge, parse_schema
from playerstate.core.types import DATA_TYPES
from playerstate.folder import starter_schema
from playerstate.ports.graph import EdgesOfKey
from stages.test_verify import befriend
from stages.verifying import Silent, Watch, tamper, watch, with_state
from stages.world import REGION, World, add

GOLD, FRIENDS = Key("ada", "gold"), Key("ada", "friends")
FRIEND = Edge("FRIEND")


@pytest.fixture
def world() -> World:
    """Ada has gold and two friends, at version 2, and everything is in step."""
    return settled()


def settled() -> World:
    world = World()
    world.put_updates(add(5), add(2, sequence=2), befriend("eve"), befriend("bob", sequence=2))
    world.step_all()
    assert world.graph.edges(FRIENDS) == (2, ["bob", "eve"])
    return world


def cached(version: str, value: str, state_key: str = "gold", player_id: str = "ada") -> View:
    return View(player_id, state_key, version, msgspec.Raw(value.encode()))


def led(total: int, *targets: str, key: Key = FRIENDS) -> EdgesOfKey:
    return EdgesOfKey(key, FRIEND, total, list(targets))


PLANTED: dict[str, tuple[Callable[[World], Any], str, Key, Kind]] = {
    "an old view written back": (
        lambda world: world.cache.replace([cached(f"{REGION}:1", "5")]), CACHE, GOLD, Kind.STALE,
    ),
    "another value": (lambda world: world.cache.replace([cached(f"{REGION}:2", "9")]), CACHE, GOLD, Kind.DIVERGED),
    "a version that never was": (
        lambda world: world.cache.replace([cached(f"{REGION}:9", "7")]), CACHE, GOLD, Kind.AHEAD,
    ),
    "another region's version": (lambda world: world.cache.replace([cached("x:9", "7")]), CACHE, GOLD, Kind.AHEAD),
    "no version": (lambda world: world.cache.replace([cached("\udcff", "7")]), CACHE, GOLD, Kind.DIVERGED),
    "a key that nobody wrote": (
        lambda world: world.cache.replace([cached("x:1", "7", "rank")]), CACHE, Key("ada", "rank"), Kind.ORPHAN,
    ),
    "a name that is none": (
        lambda world: world.cache.replace([cached("x:1", "7", "\udcff")]), CACHE, Key("ada", "\\udcff"), Kind.ORPHAN,
    ),
    "claimed to be unwritten": (
        lambda world: (world.cache.evict("ada"), world.cache.fill("ada", [], world.cache.begin_fill("ada"))),
        CACHE, GOLD, Kind.MISSING,
    ),
    "an edge too many": (
        lambda world: world.graph.repair(FRIENDS, 2, led(2, "eve", "bob", "joe")), GRAPH, FRIENDS, Kind.DIVERGED,
    ),
    "an edge that lacks": (lambda world: world.graph.repair(FRIENDS, 2, led(2, "eve")), GRAPH, FRIENDS, Kind.DIVERGED),
    "an older graph": (lambda world: world.graph.repair(FRIENDS, 2, led(1, "eve")), GRAPH, FRIENDS, Kind.STALE),
    "an empty graph": (lambda world: world.graph.repair(FRIENDS, 2, None), GRAPH, FRIENDS, Kind.MISSING),
    "a graph that is ahead": (lambda world: world.graph.repair(FRIENDS, 2, led(7, "eve")), GRAPH, FRIENDS, Kind.AHEAD),
    "edges of a key that makes none": (
        lambda world: world.graph.sync([led(1, "eve", key=GOLD)]), GRAPH, GOLD, Kind.ORPHAN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_whatever_is_planted_is_found_named_and_put_right(world: World, name: str) -> None:
    """Promise 8: within its limit; it is recorded once, and then everything agrees, and goes on agreeing."""
    plant, place, key, kind = PLANTED[name]
    plant(world)
    one = watch(world)
    repaired = one.find(within_s=31)
    assert (place, *key, kind, Repair.REPAIRED) in {(f.place, *f.key, f.kind, f.repair) for f in repaired}
    assert {finding.repair for finding in repaired} == {Repair.REPAIRED}
    assert len(repaired) == len({finding.key for finding in repaired}) == one.findings.count()
    assert set(one.findings.list()) == set(repaired)
    assert msgspec.msgpack.encode(one.findings.list())
    assert one.differences() == []
    assert (world.value("ada", "gold"), world.graph.edges(FRIENDS)) == (7, (2, ["bob", "eve"]))
    world.put_updates(add(1, sequence=3), befriend("joe", sequence=3))
    world.step_all()
    assert one.differences() == []
    assert one.find(within_s=60) == []


def test_a_player_of_whom_the_store_has_nothing(world: World) -> None:
    """Orphans go, from cache and graph."""
    world.cache.put([cached("x:1", "7", player_id="ghost")])
    world.graph.sync([led(4, "ada", key=Key("ghost", "friends"))])
    one = watch(world)
    found = one.find("ghost")
    assert {(f.place, f.kind, f.repair) for f in found} == {
        (CACHE, Kind.ORPHAN, Repair.REPAIRED),
        (GRAPH, Kind.ORPHAN, Repair.REPAIRED),
    }
    assert one.differences("ghost") == []
    assert world.graph.keys("", 9) == [FRIENDS]
    assert world.cache.players("", 9)[0] == ["ada"]


def test_what_a_finding_tells(world: World) -> None:
    """Place, kind, key and versions; since when, when confirmed, when put right; never a value."""
    world.cache.replace([cached(f"{REGION}:9", '"secret"')])
    one, began = watch(world), world.clock.now_ms()
    (finding,) = one.find()
    assert (finding.region, finding.place, finding.kind, finding.key) == (REGION, CACHE, Kind.AHEAD, GOLD)
    assert (finding.expected, finding.found) == (f"{REGION}:2", f"{REGION}:9")
    times = (finding.first_seen_at, finding.found_at, finding.repaired_at)
    assert times == (began + 1000, began + 3000, began + 3000)
    assert finding.finding_id.startswith(f"{began + 3000:015d}-")
    assert b"secret" not in msgspec.json.encode(finding)


def overwritten(world: World, key: Key, state: Any) -> None:
    """Change a row past the system: the version stays."""
    body = world.store.load([key])[key][REGION]
    tamper(world.store, key, REGION, with_state(world.schema, key, body, state))


@pytest.mark.parametrize("witness", ["cache", "graph"])
def test_a_row_that_was_changed_past_the_system(world: World, witness: str) -> None:
    """The history and what follows the store tell that it is the store; alone it cannot be put right: it is left, said,
    and nothing follows the damage.
    """
    if witness == "cache":
        overwritten(world, GOLD, {REGION: 99})
    else:
        overwritten(world, FRIENDS, DATA_TYPES["set"].empty())
        world.cache.evict("ada")
    one = watch(world)
    finding = one.find(within_s=40)[0]
    assert (finding.place, finding.kind, finding.repair) == (STORE, Kind.DIVERGED, Repair.LEFT)
    assert finding.detail == "the history has another value of this version; it cannot be told what is right"
    assert [f.place for f in one.findings.list()] == [STORE]
    assert world.graph.edges(FRIENDS) == (2, ["bob", "eve"])
    assert world.value("ada", "gold") == (7 if witness == "cache" else None)


@pytest.mark.parametrize("also", ["cache", "graph"])
def test_what_was_changed_in_several_places(world: World, also: str) -> None:
    """While the store is known to be wrong nothing is made like it, though that is wrong as well."""
    overwritten(world, FRIENDS, DATA_TYPES["set"].empty())
    if also == "cache":
        world.cache.replace([cached(f"{REGION}:2", '["joe"]', "friends")])
    else:
        world.cache.evict("ada")
        world.graph.repair(FRIENDS, 2, led(2, "joe"))
    one = watch(world)
    one.find(within_s=40)
    assert [(f.place, f.repair) for f in one.findings.list()] == [(STORE, Repair.LEFT)]
    assert world.value("ada", "friends") == (["joe"] if also == "cache" else None)
    assert world.graph.edges(FRIENDS) == (2, ["bob", "eve"] if also == "cache" else ["joe"])


def test_a_history_that_is_behind_is_no_witness(world: World) -> None:
    """What it says of other versions says nothing of this one."""
    world.put_updates(add(1, sequence=3))
    for consumer in world.consumers()[:2]:
        consumer.step()
    world.cache.replace([cached(f"{REGION}:3", "9")])
    assert [(f.place, f.kind, f.repair) for f in watch(world).find()] == [(CACHE, Kind.DIVERGED, Repair.REPAIRED)]
    assert world.value("ada", "gold") == 8


def test_where_nobody_remembers_the_store_is_right(world: World) -> None:
    """Without a history there is no witness but the store, which is right by definition."""
    overwritten(world, FRIENDS, DATA_TYPES["set"].empty())
    world.audit.trim(world.clock.now_ms() + 1, limit=1000)
    one = watch(world)
    assert {(f.place, f.repair) for f in one.find(within_s=40)} == {(CACHE, Repair.REPAIRED), (GRAPH, Repair.REPAIRED)}
    assert world.graph.edges(FRIENDS) == (2, [])
    assert world.value("ada", "friends") == []


def test_a_history_that_does_not_answer_is_no_witness(world: World) -> None:
    """What is wrong in the cache alone is put right without it."""
    world.cache.replace([cached(f"{REGION}:2", "9")])
    one = watch(world, audit=Silent())
    assert [(f.place, f.repair) for f in one.find()] == [(CACHE, Repair.REPAIRED)]
    assert world.value("ada", "gold") == 7


def test_a_damaged_row_is_left_and_said(world: World) -> None:
    """With one region there is nobody to ask; what can be read in the cache stays."""
    tamper(world.store, GOLD, REGION, b"\xff")
    one = watch(world)
    (finding,) = one.find()
    assert (finding.place, finding.kind, finding.repair) == (STORE, Kind.DIVERGED, Repair.LEFT)
    assert finding.detail == "a row cannot be read; it cannot be told what is right"
    assert world.value("ada", "gold") == 7
    assert one.suspicions.open == 1


def test_overspent_is_left_and_said(world: World) -> None:
    """Promise 4: nobody but a person can know who bears it; and it closes when somebody has made up for it."""
    overwritten(world, GOLD, {REGION: -3})
    world.cache.evict("ada")
    one = watch(world)
    (finding,) = one.find()
    assert (finding.place, finding.kind, finding.repair) == (STORE, Kind.OVERSPENT, Repair.LEFT)
    assert finding.detail.startswith("below its minimum; what is lacking")
    world.put_updates(add(3, sequence=3))
    world.step_all()
    one.look()
    (closed,) = one.findings.list()
    assert (closed.finding_id, closed.repair) == (finding.finding_id, Repair.GONE)
    assert one.suspicions.open == 0


@pytest.mark.parametrize("place", [CACHE, GRAPH])
def test_a_repair_that_races_with_a_write_changes_nothing(world: World, place: str) -> None:
    """What was found is not there any more: the new state stays, the finding says so, and the next look is clean."""
    one = watch(world)
    if place == CACHE:
        world.cache.replace([cached(f"{REGION}:1", "5")])
    else:
        world.graph.repair(FRIENDS, 2, led(1, "eve"))
    (difference,) = one.differences()
    world.put_updates(add(1, sequence=3), befriend("joe", sequence=3))
    world.step_all()
    assert one.repairs.repair(difference) == (Repair.GONE, "it had changed when it was about to be put right")
    assert (world.value("ada", "gold"), world.graph.edges(FRIENDS)) == (8, (3, ["bob", "eve", "joe"]))
    assert one.differences() == []


def test_an_orphan_that_was_written_meanwhile(world: World) -> None:
    """It is replaced by what the store has by now, not deleted."""
    world.cache.replace([cached("x:9", "1", player_id="bea")])
    one = watch(world)
    (difference,) = one.differences("bea")
    assert difference.kind is Kind.ORPHAN
    world.put_updates(structs.replace(add(4), ops=[structs.replace(add(4).ops[0], player_id="bea")]))
    world.apply.handle([world.stream.read(0, 100)[-1]])
    assert one.repairs.repair(difference)[0] is Repair.REPAIRED
    assert world.value("bea", "gold") == 4


@pytest.mark.parametrize("place", [CACHE, GRAPH])
def test_what_cannot_be_read_by_now_is_left(world: World, place: str) -> None:
    """Between the look and the repair a row became unreadable: nothing is deleted for that."""
    one = watch(world)
    key = GOLD if place == CACHE else FRIENDS
    tamper(world.store, key, REGION, b"\xff")
    found = f"{REGION}:2" if place == CACHE else "2"
    for kind in (Kind.ORPHAN, Kind.DIVERGED):
        difference = Difference(place, key, kind, "", found)
        assert one.repairs.repair(difference) == (Repair.LEFT, "the store cannot be read")
    assert (world.value("ada", "gold"), world.graph.edges(FRIENDS)[0]) == (7, 2)


def test_a_part_that_does_not_take_the_repair(world: World) -> None:
    """It failed, and is tried again at its time, until it is done; it stays one finding."""
    world.cache.replace([cached(f"{REGION}:9", "7")])
    one = watch(world)

    class ReadOnly(Silent):
        inspect = staticmethod(world.cache.inspect)

    parts = one.parts._replace(cache=ReadOnly())
    failing = Watch(world.schema, REGION, parts, world.clock)
    (finding,) = failing.find()
    assert (finding.repair, finding.detail) == (Repair.FAILED, "a part did not answer (Unavailable)")
    failing.repairs._parts = one.parts
    assert [f.repair for f in failing.find(within_s=31)] == [Repair.REPAIRED]
    (recorded,) = failing.findings.list()
    assert (recorded.finding_id, recorded.repair, recorded.detail) == (finding.finding_id, Repair.REPAIRED, "")
    assert recorded.repaired_at > recorded.found_at
    assert failing.inquiry.repaired == {Repair.FAILED: 1, Repair.REPAIRED: 1, Repair.GONE: 0}
    assert world.value("ada", "gold") == 7


def test_edges_of_an_earlier_schema_go(world: World) -> None:
    """A key that made edges and makes none any more: its edges and its total go, for good."""
    later = parse_schema(starter_schema().replace('edge = { label = "FRIEND" }', ""))
    world.schema = later
    one = watch(world)
    assert [(f.place, f.kind, f.repair) for f in one.find()] == [(GRAPH, Kind.ORPHAN, Repair.REPAIRED)]
    assert world.graph.keys("", 9) == []
    assert one.differences() == []


@pytest.mark.parametrize("key", [GOLD, FRIENDS], ids=["cache", "graph"])
def test_what_is_written_while_it_is_put_right_is_not_undone(world: World, key: Key) -> None:
    """The part refuses the next update as older than what is wrong there, and the repair has read the store before."""
    world.cache.replace([cached(f"{REGION}:9", "7")])
    world.graph.repair(FRIENDS, 2, led(9, "joe"))
    one = watch(world)
    (difference,) = [difference for difference in one.differences() if difference.key == key]
    read, late = one.repairs._read, [add(5, sequence=3), befriend("zoe", sequence=3)]

    def written_meanwhile(player_id: str) -> Any:
        stored = read(player_id)
        world.put_updates(*late)
        late.clear()
        world.step_all()
        return stored

    one.repairs._read = written_meanwhile  # type: ignore[method-assign]
    assert one.repairs.repair(difference) == (Repair.REPAIRED, "")
    assert [difference.key for difference in one.differences()] == [other for other in [GOLD, FRIENDS] if other != key]
