"""Project: cache and queues follow the store, whatever the order, repetition and age of the changes they follow."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.store import MemoryStore
from playerstate.core.findings import CACHE, Finding, Kind, Repair
from playerstate.core.groups import Wants
from playerstate.core.model import Key
from playerstate.core.replica import Replica, Write
from playerstate.core.schema import Schema, parse_schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import decode_call, decode_notices, encode_record, encode_update
from playerstate.errors import InvariantViolated, OutcomeUnknown, Unavailable
from playerstate.folder import starter_schema
from playerstate.runtime.consumers import Report
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.stages.apply import Apply
from playerstate.stages.project import MESSAGE_BYTES_MAX, NOTICES_PER_MESSAGE_MAX, Group, Project
from playerstate.stages.replicate import Replicate
from playerstate.stages.resolve import Resolve
from stages.world import REGION, World, add, records, update

GOLD, PETS = Key("ada", "gold"), Key("ada", "pets")


def changed_world(*amounts: int) -> World:
    """A world whose store has one change per amount."""
    world = World()
    for sequence, n in enumerate(amounts, start=1):
        world.put_updates(add(n, sequence=sequence))
        world.apply.handle(records(world)[-1:])
    return world


def test_the_cache_shows_what_was_applied() -> None:
    """A change is visible, with its version, once it has been handled; its age is counted from when it was accepted."""
    world = changed_world(5, 7)
    world.clock.advance(12)
    projected = world.project.handle(world.store.changes.read(0, 10))
    view = world.cache.get(GOLD)
    assert view is not None
    assert (view.version, view.decoded()) == (f"{REGION}:2", 12)
    assert projected.freshness_ms == [12, 12]


@given(order=st.lists(st.integers(0, 5), min_size=1, max_size=20), cut=st.integers(1, 20))
def test_order_and_repetition_of_changes_do_not_matter(order: list[int], cut: int) -> None:
    """Promise 6: the cache never goes backwards, and ends at the newest that was told."""
    world = changed_world(1, 2, 3, 4, 5, 6)
    changes = world.store.changes.read(0, 10)
    versions = []
    for batch in (order[:cut], order[cut:]):
        if batch:
            world.project.handle([changes[index] for index in batch])
            view = world.cache.get(GOLD)
            assert view is not None
            versions.append(view.version)
    assert versions == [f"{REGION}:6"] * len(versions)


def test_a_lost_cache_is_filled_by_the_next_change() -> None:
    """The rows are read again, so a cache that lost everything shows the key whole after one change."""
    world = changed_world(5)
    world.project.handle(world.store.changes.read(0, 10))
    world.cache.lose()
    world.put_updates(add(1, sequence=2))
    world.apply.handle(records(world)[-1:])
    world.project.handle(world.store.changes.read(1, 10))
    assert world.value("ada", "gold") == 6


def foreign_write(world: World, region: str, n: int) -> Write:
    """A row as another region would have written it, without having seen ours."""
    spec = world.schema.keys["gold"]
    replica = Replica(GOLD, spec, 1, region, {}, None)
    state = {region: n}
    assert DATA_TYPES["bounded_counter"].value(state, spec) == n
    replica.vector, replica.state = {region: 1}, state
    row = replica._row(0, [])
    return Write(GOLD, region, None, f"{region}:1", None, msgspec.msgpack.encode(row))


def test_readers_see_the_join_of_all_regions_rows() -> None:
    """Promise 3: rows of several regions are one view; causes are told by the region that wrote them only."""
    world = changed_world(5)
    world.store.commit([[foreign_write(world, "elsewhere", 30)]])
    world.project.handle(world.store.changes.read(0, 10))
    view = world.cache.get(GOLD)
    assert view is not None
    assert (view.version, view.decoded()) == (f"elsewhere:1,{REGION}:1", 35)
    notices = [n for m in world.queues["audit"].receive(10, visibility_s=1) for n in decode_notices(m.body)]
    assert {(n.region, len(n.because)) for n in notices} == {(REGION, 1), ("elsewhere", 0)}


def test_what_a_region_wrote_under_an_earlier_name_is_its_own() -> None:
    """A region that was restored has another name; why its rows changed nobody else could tell."""
    for predecessors, causes in (((), 0), (("earlier",), 1)):
        world = World()
        world.put_updates(add(5))
        Apply(world.schema, "earlier", world.store, world.dead_letters, world.clock).handle(records(world))
        groups = [Group(world.queues["audit"], Wants.EVERYTHING)]
        parts = (world.store, world.cache, groups, world.clock)
        projected = Project(world.schema, REGION, *parts, predecessors=predecessors).handle(
            world.store.changes.read(0, 10)
        )
        (message,) = world.queues["audit"].receive(1, visibility_s=1)
        (notice,) = decode_notices(message.body)
        assert (len(notice.because), len(projected.freshness_ms)) == (causes, causes)


def test_groups_are_told_of_views_and_not_of_one_regions_row() -> None:
    """Of concurrent rows the join, with all its steps; and before a write what others had, but not the write itself."""
    world, elsewhere, there = World(), "elsewhere", MemoryStore()

    def arrive(body: bytes) -> None:
        """The other region processes an update, and its rows come here."""
        world.put_on_stream(body)
        record = records(world)[-1]
        Apply(world.schema, elsewhere, there, world.dead_letters, world.clock).handle([record])
        Replicate(elsewhere, world.store).handle(there.changes.read(0, 10))

    arrive(encode_record(world.clock.now_ms(), [encode_update(add(7, producer="there"))]))
    arrive(encode_record(world.clock.now_ms(), [encode_update(add(8, producer="there", sequence=2))]))
    here = MemoryStore()
    world.put_updates(add(5))
    Apply(world.schema, REGION, here, world.dead_letters, world.clock).handle(records(world)[-1:])
    Replicate(REGION, world.store).handle(here.changes.read(0, 10))
    world.project.handle(world.store.changes.read(0, 10))
    (message,) = world.queues["audit"].receive(1, visibility_s=1)
    told = {notice.version: (notice.before, notice.after, notice.total) for notice in decode_notices(message.body)}
    assert {version: (bytes(before), bytes(after), total) for version, (before, after, total) in told.items()} == {
        "elsewhere:1": (b"5", b"12", 2),
        "elsewhere:2": (b"12", b"20", 3),
        "local:1": (b"15", b"20", 3),
    }
    Replicate(REGION, there).handle(here.changes.read(0, 10))
    arrive(encode_record(world.clock.now_ms(), [encode_update(add(1, producer="there", sequence=3))]))
    world.queues["audit"].delete([message.receipt])
    world.project.handle(world.store.changes.read(0, 10))  # late: the other region's row has seen this one's write
    messages = world.queues["audit"].receive(9, visibility_s=1)
    own = [notice for message in messages for notice in decode_notices(message.body) if notice.region == REGION]
    assert {(bytes(notice.before), bytes(notice.after)) for notice in own} == {(b"0", b"5")}


NEWER = parse_schema(
    starter_schema().replace("version = 1", "version = 2")
    + '[keys.pets]\ntype = "set"\nedge = { label = "PET", to = "Animal" }\n'
)


def test_a_key_that_only_another_region_has_is_left_alone_until_the_schema_has_it() -> None:
    """It holds up nothing, nobody is told; then cache, groups and resolver get it, also where the changes are gone."""
    world, elsewhere = World(), "elsewhere"
    retired = {elsewhere: REGION}
    resolve = MemoryQueue(world.clock, Random(0))
    groups = [Group(world.queues["link"], Wants.EDGES), Group(world.queues["audit"], Wants.EVERYTHING)]

    def consumer(schema: Schema) -> ProjectConsumer:
        stores = (world.store, world.cache, groups, world.clock)
        project = Project(schema, REGION, *stores, resolve=resolve, retired=lambda: retired)
        return ProjectConsumer(world.store.changes, world.checkpoints, project)

    def told() -> set[str]:
        found = [m for queue in world.queues.values() for m in queue.receive(100, visibility_s=1000)]
        return {notice.state_key for message in found for notice in decode_notices(message.body)}

    world.put_updates(add(5), update({"state_key": "pets", "op": "add", "elements": ["rex"]}))
    gold, pets = records(world)
    Apply(NEWER, elsewhere, world.store, world.dead_letters, world.clock).handle([pets])
    world.apply.handle([gold])
    world.cache.fill("ada", [], world.cache.begin_fill("ada"))  # which says that all else is unwritten
    before = consumer(world.schema)
    assert [before.step(), before.step()] == [2, 0]
    assert set(world.cache.get_player("ada").views) == {"gold"}
    assert told() == {"gold"}
    assert Resolve(world.schema, REGION, world.store, world.clock).handle([PETS]).rows_written == 0
    assert resolve.depth() == 0
    world.store.changes.trim(world.store.changes.head())

    after = consumer(NEWER)
    while after.step():
        pass
    view = world.cache.get(PETS)
    assert view is not None
    assert (view.version, view.decoded()) == ("elsewhere:1", ["rex"])
    assert told() == {"pets"}
    assert resolve.receive(9, visibility_s=1) == []  # a conflict is left alone for a while
    world.clock.advance(1000)
    assert [decode_call(m.body).key for m in resolve.receive(9, visibility_s=1)] == [PETS]
    assert consumer(NEWER).step() == 0


def test_a_view_that_no_row_explains_is_replaced() -> None:
    """A cache value concurrent with everything stored is wrong: it goes, after the rows were read once more, and is
    recorded as a finding, once.
    """
    world = changed_world(5)
    (view,) = [world.project._views({GOLD: {}})[0]]
    world.cache.replace([msgspec.structs.replace(view, version="nowhere:9", value=msgspec.Raw(b"1"))])
    world.project.handle(world.store.changes.read(0, 10))
    after = world.cache.get(GOLD)
    assert after is not None
    assert (after.version, after.decoded()) == (f"{REGION}:1", 5)
    (finding,) = world.findings.list()
    assert (finding.key, finding.place, finding.kind) == (GOLD, CACHE, Kind.AHEAD)
    assert (finding.expected, finding.found, finding.repair) == (f"{REGION}:1", "nowhere:9", Repair.REPAIRED)
    world.project.handle(world.store.changes.read(0, 10))
    assert world.findings.count() == 1


def wrong_view(world: World) -> None:
    """Have the cache hold what no row explains."""
    (view,) = world.project._views({GOLD: {}})
    world.cache.replace([msgspec.structs.replace(view, version="nowhere:9", value=msgspec.Raw(b"1"))])


@pytest.mark.parametrize("error", [Unavailable("away"), OutcomeUnknown("who knows"), InvariantViolated("damaged")])
def test_findings_that_cannot_be_recorded_hold_nothing_up(error: Exception) -> None:
    """A file of findings that is damaged, or away, ends nothing that readers wait for; it is counted all the same."""
    world = changed_world(5)
    wrong_view(world)

    def put(_findings: Sequence[Finding]) -> None:
        raise error

    world.findings.put = put  # type: ignore[method-assign]
    consumer = ProjectConsumer(world.store.changes, world.checkpoints, world.project)
    assert consumer.step() == 1
    after = world.cache.get(GOLD)
    assert after is not None
    assert after.version == f"{REGION}:1"
    report = Report()
    consumer.tell(report)
    assert report.verification.findings == {f"{CACHE}:{Kind.AHEAD}": 1}
    assert report.verification.repairs == {Repair.REPAIRED: 1}


def test_a_view_is_replaced_after_that_is_on_record() -> None:
    """A process that ends in between leaves an open finding, and no riddle."""
    world = changed_world(5)
    wrong_view(world)

    def killed(_views: object) -> None:
        raise SystemExit

    world.cache.replace = killed  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        world.project.handle(world.store.changes.read(0, 10))
    assert [finding.repair for finding in world.findings.list()] == [Repair.LEFT]


def test_groups_hear_only_what_they_want() -> None:
    """Edges go to the graph's group, unpublished keys to the audit's alone."""
    world = World(
        schema=parse_schema(
            """
            [game]
            name = "t"
            version = 1
            [keys.friends]
            type = "set"
            edge = { label = "FRIEND" }
            [keys.secret]
            type = "counter"
            published = false
            [keys.open]
            type = "counter"
            """
        )
    )
    groups = {
        wants: Group(type(world.queues["link"])(world.clock, world.queues["link"]._random), wants) for wants in Wants
    }
    project = Project(world.schema, REGION, world.store, world.cache, list(groups.values()), world.clock)
    world.put_updates(
        update({"state_key": "friends", "op": "add", "elements": ["eve"]}),
        update({"state_key": "secret", "op": "add", "n": 1}),
        update({"state_key": "open", "op": "add", "n": 1}),
    )
    world.apply.handle(records(world))
    project.handle(world.store.changes.read(0, 10))
    heard = {
        wants: {n.state_key for m in group.queue.receive(10, visibility_s=1) for n in decode_notices(m.body)}
        for wants, group in groups.items()
    }
    assert heard == {
        Wants.EVERYTHING: {"friends", "secret", "open"},
        Wants.PUBLISHED: {"friends", "open"},
        Wants.EDGES: {"friends"},
    }


def test_notices_are_packed_into_few_messages() -> None:
    """Fan-out is paid by the message; none outgrows what a queue takes."""
    world = World()
    count = 2 * NOTICES_PER_MESSAGE_MAX + 1
    world.put_updates(*(update({"player_id": f"p{n}", "op": "add", "n": 1}) for n in range(count)))
    world.apply.handle(records(world))
    world.project.handle(world.store.changes.read(0, 1000))
    assert world.queues["audit"].depth() == 3


def test_no_message_of_several_notices_is_too_large() -> None:
    """Whatever makes a notice large: its values, or what its causes name."""
    world = World()
    added = {"state_key": "friends", "op": "add", "elements": [f"{n:060}" for n in range(250)]}
    world.put_updates(*(update({"player_id": f"p{n}", **added}) for n in range(40)))
    world.apply.handle(records(world))
    world.project.handle(world.store.changes.read(0, 1000))
    messages = world.queues["audit"].receive(100, visibility_s=1000)
    assert all(len(message.body) <= MESSAGE_BYTES_MAX for message in messages)
    told = {notice.player_id for message in messages for notice in decode_notices(message.body)}
    assert told == {f"p{n}" for n in range(40)}


def test_groups_may_name_their_keys() -> None:
    """A group is told of the state keys that it names."""
    world = World()
    queue = world.queues["audit"]
    groups = [Group(queue, {"gold", "no such key"})]
    project = Project(world.schema, REGION, world.store, world.cache, groups, world.clock)
    world.put_updates(update({"op": "add", "n": 1}), update({"state_key": "friends", "op": "add", "elements": ["eve"]}))
    world.apply.handle(records(world))
    project.handle(world.store.changes.read(0, 10))
    (message,) = queue.receive(1, visibility_s=1)
    assert [notice.state_key for notice in decode_notices(message.body)] == ["gold"]
