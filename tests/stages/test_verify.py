"""Looking: in the right order, at all there is, whatever does not answer; and lag is never more than lag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.core.comparison import Difference
from playerstate.core.erasure import erasure
from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, copies_in
from playerstate.core.model import Key, View
from playerstate.core.producers import ERASER_PREFIX
from playerstate.core.schema import parse_schema
from playerstate.core.suspicions import Way
from playerstate.errors import InvariantViolated, NotNow
from playerstate.folder import starter_schema
from playerstate.stages.apply import Apply
from playerstate.stages.verify import _once
from stages.regions import SCHEMA as REGIONS_SCHEMA
from stages.verifying import Silent, Watch, WatchedRegions, tamper, watch
from stages.world import REGION, World, add, records, update

GOLD, FRIENDS = Key("ada", "gold"), Key("ada", "friends")
NEWER = parse_schema(
    starter_schema().replace("version = 1", "version = 2")
    + '[keys.pets]\ntype = "set"\nedge = { label = "FRIEND", to = "Player" }\n'
)


def befriend(name: str, *, sequence: int = 1, player_id: str = "ada") -> Any:
    return update(
        {"player_id": player_id, "state_key": "friends", "op": "add", "elements": [name]},
        producer="social",
        sequence=sequence,
    )


@pytest.fixture
def world() -> World:
    """A world in which ada has gold and a friend, and everything is in step."""
    world = World()
    world.put_updates(add(5), befriend("eve"))
    world.step_all()
    return world


def kinds(watch: Watch, *players: str) -> set[tuple[str, str, Kind]]:
    return {(one.place, one.key.state_key, one.kind) for one in watch.differences(*players)}


def test_nothing_differs_where_everything_is_in_step(world: World) -> None:
    """Every key is compared in every place, and nothing is left out."""
    look = watch(world).verify.look(["ada", "eve", "nobody"])
    assert look.differences == []
    assert look.compared == Counter({STORE: 2, CACHE: 2, GRAPH: 1})
    assert look.not_checked == Counter()
    head = world.store.changes.head()
    assert look.ways == {CACHE: Way(head, head)}


def test_what_has_not_come_yet_lags(world: World) -> None:
    """What was written and not projected is late in cache and graph, and nothing else."""
    one = watch(world)
    world.put_updates(add(1, sequence=2), befriend("bob", sequence=2))
    world.apply.handle(records(world)[-2:])
    assert kinds(one) == {
        (CACHE, "gold", Kind.LAGGING),
        (CACHE, "friends", Kind.LAGGING),
        (GRAPH, "friends", Kind.LAGGING),
    }
    (way,) = one.verify.look(["ada"]).ways.values()
    assert way == Way(world.store.changes.head() - 2, world.store.changes.head())
    world.step_all()
    assert kinds(one) == set()


class Between:
    """A part before and after each of whose calls something happens."""

    def __init__(self, part: Any, happen: Callable[[], None]) -> None:
        self._part = part
        self._happen = happen

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._happen()
            try:
                return found(*arguments, **named)
            finally:
                self._happen()

        return call


@pytest.mark.parametrize("seed", range(12))
def test_a_store_that_moves_between_the_reads(seed: int) -> None:
    """Promise 8: whatever is written, carried and followed between any two reads of one look, things are late at worst,
    and what is late is never more than that.
    """
    world, random = WatchedRegions("ab"), Random(seed)
    sequences = Counter[str]()
    calls = 0

    def happen() -> None:
        nonlocal calls
        calls += 1
        for _ in range(random.randrange(3)):
            region = random.choice("ab")
            act = random.randrange(5)
            if act < 2:
                sequences[region] += 1
                key = random.choice(["gold", "bag"])
                op = {"state_key": key, "op": "add", "n": 1, **({"item": "ore"} if key == "bag" else {})}
                world.send(region, update(op, producer=region, sequence=sequences[region]))
            elif act == 2:
                world.carry(region, "b" if region == "a" else "a", changes=random.randrange(1, 3))
            else:
                random.choice(world.watched[region].consumers).step()

    found: Counter[Kind] = Counter()
    real = world.watched["a"].watch.parts
    parts = real._replace(
        store=Between(real.store, happen),
        changes=Between(real.changes, happen),
        checkpoints=Between(real.checkpoints, happen),
        cache=Between(real.cache, happen),
        graph=Between(real.graph, happen),
        audit=Between(real.audit, happen),
        copies=lambda: [Between(one, happen) for one in real.copies()],
    )
    one = Watch(REGIONS_SCHEMA, "a", parts, world.clock)
    for _ in range(30):
        look = one.verify.look(["ada", "eve"])
        found.update(difference.kind for difference in look.differences)
        assert one.look("ada", "eve") == []
    assert set(found) == {Kind.LAGGING}
    assert calls > 300
    assert world.agree()


def test_the_order_of_a_look() -> None:
    """How far a way has come is read before what came on it, the store after all that is held against it, and where
    the ways end after the store: so that what a way has passed must have been seen, and nothing looks like being ahead.
    """
    world, order = WatchedRegions("ab"), list[str]()
    world.send("a", add(5))
    world.follow()
    real = world.watch("a").parts

    class Noting:
        def __init__(self, part: Any, name: str) -> None:
            self.part, self.name = part, name
            self.region = "b"

        def __getattr__(self, name: str) -> Any:
            order.append(f"{self.name}.{name}")
            return getattr(self.part, name)

    (copies,) = real.copies()
    parts = real._replace(
        **{name: Noting(getattr(real, name), name) for name in ("store", "changes", "checkpoints", "cache", "graph")},
        copies=lambda: [Noting(copies, "copies")],
    )
    Watch(REGIONS_SCHEMA, "a", parts, world.clock).verify.look(["ada"])
    assert order.index("checkpoints.load") < order.index("cache.inspect")
    assert order.index("copies.passed") < order.index("copies.load")
    last = max(order.index(name) for name in ("cache.inspect", "graph.inspect", "copies.load"))
    assert last < order.index("store.load_player") < order.index("changes.head")


def test_the_history_is_asked_only_where_it_can_tell(world: World) -> None:
    """Not for what lags, of which there may be much."""
    world.put_updates(add(1, sequence=2))
    world.apply.handle(records(world)[-1:])
    asked = list[str]()
    one = watch(world, audit=Between(world.audit, lambda: asked.append("history")))
    assert one.differences()
    assert asked == []
    world.step_all()
    world.cache.replace([View("ada", "gold", f"{REGION}:2", msgspec.Raw(b"9"))])
    assert one.differences()
    assert asked != []


@pytest.mark.parametrize("place", ["cache", "graph"])
def test_a_part_that_does_not_answer(world: World, place: str) -> None:
    """It is counted as not checked, and the others are checked all the same."""
    world.cache.replace([world.project._views({GOLD: {}})[0]])
    world.graph.repair(FRIENDS, 1, None)
    look = watch(world, **{place: Silent()}).verify.look(["ada", "eve"])
    assert look.not_checked == Counter({f"{place} does not answer": 2})
    assert place not in look.compared
    assert {one.place for one in look.differences} == {CACHE, GRAPH} - {place}


def test_a_store_that_does_not_answer(world: World) -> None:
    """Without it nothing can be said."""
    with pytest.raises(NotNow):
        watch(world, store=Silent()).verify.look(["ada"])


def test_regions_that_cannot_be_reached() -> None:
    """Cut off, or not answering: each is counted under its name, and the other regions are compared."""
    world = WatchedRegions()
    world.send("a", add(5))
    world.follow()
    world.send("a", add(1, sequence=2))
    one = world.watch("a")
    world.cut, world.silent = {"b"}, {"c"}
    look = one.verify.look(["ada"])
    assert look.not_checked == Counter({"region:b is cut off": 1, "region:c does not answer": 1})
    assert {difference.place for difference in look.differences} == {CACHE}
    world.cut, world.silent = set(), {"b"}
    assert {place for place, *_ in kinds(one)} == {CACHE, copies_in("c")}


def test_a_way_of_which_nobody_can_tell() -> None:
    """If another region does not say how far it has come, it does not answer, and holds up nothing."""
    world = WatchedRegions("ab")
    world.send("a", add(5))
    (other,) = world.copies_for("a")

    class Mute:
        region = "b"

        def passed(self) -> int:
            raise NotNow

        def load(self, players: list[str]) -> Any:
            return other.load(players)

    class Broken(Mute):
        def passed(self) -> int:
            raise InvariantViolated("damaged")

    one = world.watch("a")
    for part, reason in ((Mute(), "does not answer"), (Broken(), "cannot be read")):
        look = Watch(REGIONS_SCHEMA, "a", one.parts._replace(copies=lambda part=part: [part]), world.clock).verify.look(
            ["ada"]
        )
        assert look.not_checked == Counter({f"region:b {reason}": 1})
        assert copies_in("b") not in look.compared


def test_keys_of_a_newer_schema_are_left_out(world: World) -> None:
    """Another region knows them already: they are counted as not checked, and compared nowhere."""
    world.put_updates(update({"state_key": "pets", "op": "add", "elements": ["rex"]}, producer="newer"))
    Apply(NEWER, REGION, world.store, MemoryDeadLetters(), world.clock).handle(records(world)[-1:])
    world.step_all()
    copies = [
        type("C", (), {"region": "b", "passed": lambda _: None, "load": lambda _, players: [{} for _ in players]})()
    ]
    one = watch(world, copies=lambda: copies)
    look = one.verify.look(["ada"])
    assert {(d.place, d.key.state_key) for d in look.differences} == {
        (copies_in("b"), "gold"),
        (copies_in("b"), "friends"),
    }
    assert look.not_checked == Counter({"keys that cannot be read here": 1})
    assert one.find(within_s=400)
    assert "pets" not in {finding.state_key for finding in one.findings.list()}


def test_rows_of_a_newer_schema_are_left_out() -> None:
    """Also where the key is known, and the row is of a version that this process cannot read."""
    world = World()
    world.put_updates(add(5))
    Apply(NEWER, REGION, world.store, MemoryDeadLetters(), world.clock).handle(records(world))
    world.cache.put([])
    look = watch(world).verify.look(["ada"])
    assert (look.differences, look.not_checked) == ([], Counter({"keys that cannot be read here": 1}))


def test_a_damaged_row_is_the_stores_fault(world: World) -> None:
    """What cannot be read is found in the store, and held against nothing else."""
    tamper(world.store, GOLD, REGION, b"\xff")
    assert kinds(watch(world)) == {(STORE, "gold", Kind.DIVERGED)}


def test_erased_players_are_consistent(world: World) -> None:
    """An erased key has a version and nothing else, everywhere; and the graph no edges."""
    for key in (GOLD, FRIENDS):
        world.put_updates(erasure(key, "asked for", eraser=f"{ERASER_PREFIX}x", sequence=1, now=world.clock.now_ms()))
    world.step_all()
    assert world.graph.edges(FRIENDS) == (2, [])
    assert kinds(watch(world)) == set()


def test_evictions_are_no_difference(world: World) -> None:
    """Promise 8: what a cache has lost it does not claim to have."""
    world.cache.evict("ada")
    assert kinds(watch(world)) == set()
    world.cache.lose()
    assert watch(world).find(within_s=60) == []


def test_rows_of_a_region_that_is_gone_are_no_difference() -> None:
    """Its rows lie with the others; they belong to nobody's comparison but are in every view."""
    world = WatchedRegions()
    world.send("c", add(5))
    world.follow()
    world.names = "ab"
    for name in "ab":
        world[name].retired["c"] = "a"
        world.resolve(name)
    assert world.agree()
    assert world.watch("a").find(within_s=400) == []


def test_nothing_is_held_against_a_faulty_store() -> None:
    """What else differs in that key, where it is told by versions that are equal, waits; other keys do not."""

    def of(place: str, kind: Kind, key: Key = GOLD) -> Difference:
        return Difference(place, key, kind, "a:1", "a:1")

    fault = of(STORE, Kind.DIVERGED)
    kept = [of(CACHE, Kind.LAGGING), of(GRAPH, Kind.DIVERGED, FRIENDS), of(copies_in("b"), Kind.DIVERGED)]
    assert _once([of(CACHE, Kind.DIVERGED, FRIENDS), fault, fault, *kept]) == [
        of(CACHE, Kind.DIVERGED, FRIENDS),
        fault,
        *kept,
    ]
    assert _once([fault, of(CACHE, Kind.DIVERGED), of(GRAPH, Kind.DIVERGED)]) == [fault]
    overspent = of(STORE, Kind.OVERSPENT)
    assert _once([overspent, of(CACHE, Kind.DIVERGED)]) == [overspent, of(CACHE, Kind.DIVERGED)]
