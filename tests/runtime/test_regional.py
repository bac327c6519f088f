"""What carries rows between regions, and what resolves conflicts: nothing is missed, nothing is tried for ever."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import pytest

from builders import NOW_MS, write
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.store import MemoryChanges, MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.core.wire import encode_call
from playerstate.errors import InvariantViolated, Unavailable
from playerstate.runtime.replicating import ReplicateConsumer
from playerstate.runtime.replication import COPIED_AT_ONCE, Link, LinkSettings, link_name
from playerstate.runtime.resolving import ATTEMPTS_MAX, CALLS_MAX, ResolveConsumer
from playerstate.stages.resolve import Resolve
from stages.regions import SCHEMA, Regions
from stages.world import add, update

THERE, HERE, ELSEWHERE = "there", "here", "elsewhere"
KEYS = [Key("ada", f"gold{number}") for number in range(6)]


class Source(NamedTuple):
    store: MemoryStore
    changes: MemoryChanges


class OneWay:
    """A link between two memory stores, in a time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.source, self.target = MemoryStore(), MemoryStore()
        self.checkpoints = MemoryCheckpoints()
        self.settings = LinkSettings()
        self.now_s = 0.0
        self.opened = 0
        self._last: dict[tuple[Key, str], Write] = {}
        self.link = self.restart()

    def restart(self) -> Link:
        """What has been held back is lost."""
        self.link = Link(
            THERE,
            HERE,
            self._open,
            self.target,
            self.checkpoints,
            lambda: self.settings,
            now_s=lambda: self.now_s,
            random=Random(1),
        )
        return self.link

    def write(self, key: Key, n: int, *, region: str = THERE) -> None:
        """The region's next write of a row."""
        made = write(key, n, after=self._last.get((key, region)), region=region)
        assert self.source.commit([[made]]) == [True]
        self._last[key, region] = made

    def arrived(self) -> dict[Key, bytes]:
        """What the target has of the region there."""
        return {key: rows[THERE] for key, rows in self.target.load(KEYS).items() if THERE in rows}

    def there(self) -> dict[Key, bytes]:
        return {key: rows[THERE] for key, rows in self.source.load(KEYS).items() if THERE in rows}

    def _open(self) -> Source:
        self.opened += 1
        if self.opened == 1:
            raise Unavailable("not yet")
        return Source(self.source, self.source.changes)


@pytest.fixture
def way() -> OneWay:
    """One whose source could not be opened at first."""
    made = OneWay()
    with pytest.raises(Unavailable):
        made.link.carry()
    return made


def test_changes_are_carried(way: OneWay) -> None:
    """Once each, the latest of each row; then there is nothing to do."""
    way.write(KEYS[0], 1)
    way.link.carry()
    for n in (2, 3, 4):
        way.write(KEYS[0], n)
    way.write(KEYS[1], 1)
    assert (way.link.carry(), way.link.carry(), way.link.waits) == (4, 0, 0)
    assert way.link.at_end
    assert way.arrived() == way.there()
    assert len(way.target.changes.read(0, 100)) == 3  # three writes of a row came as one


def test_only_rows_of_the_source_are_carried(way: OneWay) -> None:
    """What others have written comes from them."""
    way.write(KEYS[0], 1)
    way.link.carry()
    way.write(KEYS[0], 1, region=ELSEWHERE)
    way.write(KEYS[0], 1, region=HERE)
    assert way.link.carry() == 0
    assert set(way.target.load(KEYS)[KEYS[0]]) == {THERE}


def test_a_cut_way_carries_nothing_until_it_is_healed(way: OneWay) -> None:
    """And then all of it."""
    way.write(KEYS[0], 1)
    way.link.carry()
    way.settings = LinkSettings(cut=True)
    way.write(KEYS[0], 2)
    assert way.link.carry() == 0
    assert way.arrived() != way.there()
    way.settings = LinkSettings()
    way.link.carry()
    assert way.arrived() == way.there()


def test_lag(way: OneWay) -> None:
    """A change takes as long as the way says, from when the link first saw it, and not less."""
    way.write(KEYS[0], 1)
    way.link.carry()
    way.settings = LinkSettings(lag_ms=500)
    way.write(KEYS[0], 2)
    for way.now_s in (0.0, 0.25, 0.499):
        assert way.link.carry() == 0
    way.now_s = 0.5
    assert way.link.carry() == 1
    assert way.arrived() == way.there()


def test_jitter_reorders_and_the_latest_stays(way: OneWay) -> None:
    """Changes overtake one another; in the end the target has what the source has."""
    way.write(KEYS[5], 1)
    way.link.carry()
    way.settings = LinkSettings(lag_ms=10, jitter_ms=1000)
    for n in range(1, 5):
        for key in KEYS[:5]:
            way.write(key, n)
    carried = []
    while way.arrived() != way.there():
        way.now_s += 0.05
        carried.append(way.link.carry())
        assert way.now_s < 2
    assert len([n for n in carried if n]) > 5


def test_what_was_held_back_survives_a_restart(way: OneWay) -> None:
    """The checkpoint stands before the first change that has not been carried, whatever came after it."""
    way.write(KEYS[5], 1)
    way.link.carry()
    way.settings = LinkSettings(jitter_ms=1000)
    for key in KEYS[:5]:
        way.write(key, 1)
    way.link.carry()
    way.now_s = 0.4
    way.link.carry()
    before = way.arrived()
    assert set(before) < set(way.there())
    way.restart()
    way.settings = LinkSettings()
    way.link.carry()
    assert way.arrived() == way.there()


def test_a_link_that_begins_copies_everything(way: OneWay) -> None:
    """Other regions' rows too: a region that was restored finds its own past there. But not its own rows."""
    way.write(KEYS[0], 3)
    way.write(KEYS[0], 2, region=ELSEWHERE)
    way.write(KEYS[0], 1, region=HERE)
    way.source.changes.trim(3)
    way.link.carry()
    assert set(way.target.load(KEYS)[KEYS[0]]) == {THERE, ELSEWHERE}
    assert way.link.carry() == 0


def test_a_link_that_has_missed_changes_copies_everything(way: OneWay) -> None:
    """The source keeps changes for a bounded time only."""
    way.write(KEYS[0], 1)
    way.link.carry()
    way.settings = LinkSettings(cut=True)
    for key in KEYS:
        way.write(key, 2)
    way.link.carry()
    way.source.changes.trim(4)
    way.settings = LinkSettings()
    way.link.carry()
    assert way.arrived() == way.there()


def test_a_link_whose_source_is_another_file_copies_everything(way: OneWay) -> None:
    """A checkpoint beyond the end of the changes is one of other changes."""
    way.checkpoints.save(link_name(THERE, HERE), 1000)
    way.restart()
    way.write(KEYS[0], 1)
    way.link.carry()
    assert way.arrived() == way.there()
    assert way.checkpoints.load(link_name(THERE, HERE)) == 1


def test_one_way_that_fails_does_not_hold_up_the_others() -> None:
    """It is counted, and tried again at the next step."""
    good, bad = OneWay(), OneWay()
    good.opened = 1
    good.write(KEYS[0], 1)
    told = []
    consumer = ReplicateConsumer(lambda: {"bad": bad.link, "good": good.link}, lambda: told.append(True))
    assert consumer.step() == 1
    assert good.arrived() == good.there()
    assert (consumer.stats.failures, told) == (1, [True])
    assert "not yet" in consumer.stats.last_error
    assert consumer.step() == 0
    assert (consumer.stats.failures, told) == (1, [True])


class Resolver:
    """The resolver of region `a`, whose queue loses nothing and repeats some."""

    def __init__(self) -> None:
        self.regions = Regions()
        self.clock = ManualClock(NOW_MS)
        self.queue = MemoryQueue(self.clock, Random(2), attempts_max=10_000)
        self.dead_letters = MemoryDeadLetters()
        self.store = Contended(self.regions["a"].store)
        self.retired: dict[str, str] = {}
        self.checkpoints = MemoryCheckpoints()
        self.waits = ""
        self.restart()

    def restart(self) -> None:
        """As after a start of the process."""
        resolve = Resolve(SCHEMA, "a", self.store, self.clock, retired=lambda: self.retired)  # type: ignore[arg-type]
        self.consumer = ResolveConsumer(
            self.queue,
            resolve,
            self.checkpoints,
            self.dead_letters,
            self.clock,
            waits_for=lambda: self.waits,
            random=Random(3),
        )

    def conflict(self) -> Key:
        """Two regions write one key without having heard of each other."""
        self.regions.send("a", add(1))
        self.regions.send("b", add(2))
        self.regions.carry("b", "a")
        return Key("ada", "gold")


class Contended:
    """A store where somebody else is always quicker, so many times."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.lost = 0
        self.loaded = 0

    def load(self, keys: list[Key]) -> object:
        self.loaded += len(keys)
        return self._store.load(keys)

    def keys(self, after: Key | None, limit: int) -> list[Key]:
        return self._store.keys(after, limit)

    def commit(self, groups: list[list[Write]]) -> list[bool]:
        if self.lost:
            self.lost -= 1
            return [False] * len(groups)
        return self._store.commit(groups)


def test_a_conflict_is_resolved_and_what_each_side_had_is_kept() -> None:
    """The row that contains both says which versions and values it joined."""
    resolver = Resolver()
    key = resolver.conflict()
    resolver.queue.send([encode_call(key), encode_call(key)])
    assert resolver.consumer.step() == 2
    change = resolver.regions["a"].store.changes.read(0, 100)[-1]
    row = resolver.regions["a"].row(key, change.new)
    assert row.vector == {"a": 1, "b": 1}
    assert [(side.region, side.version, side.value) for side in row.sides] == [("a", "a:1", "11"), ("b", "b:1", "12")]
    assert row.because == []


def test_the_next_write_does_not_repeat_the_sides() -> None:
    """Like causes, they are of one write."""
    resolver = Resolver()
    key = resolver.conflict()
    resolver.queue.send([encode_call(key)])
    resolver.consumer.step()
    resolver.regions.send("a", update({"op": "add", "n": 1}, sequence=2))
    change = resolver.regions["a"].store.changes.read(0, 100)[-1]
    assert resolver.regions["a"].row(key, change.new).sides == []


def test_a_row_that_changes_under_the_resolver_comes_again() -> None:
    """After a pause that grows; and then it is done."""
    resolver = Resolver()
    resolver.queue.send([encode_call(resolver.conflict())])
    resolver.store.lost = 3
    pauses = []
    while resolver.queue.depth():
        waited = 0
        while not resolver.consumer.step():
            resolver.clock.advance(50)
            waited += 50
        pauses.append(waited)
    assert pauses[0] == 0
    assert all(pause >= 200 for pause in pauses[1:])
    assert len(pauses) == 4
    assert resolver.regions["a"].store.changes.read(0, 100)[-1].region == "a"
    assert resolver.dead_letters.count() == 0


def test_tries_are_bounded() -> None:
    """A key that never comes to rest is put where an operator finds it, with what was tried."""
    resolver = Resolver()
    resolver.queue.send([encode_call(resolver.conflict())])
    resolver.store.lost = 10_000
    steps = 0
    while resolver.queue.depth():
        steps += resolver.consumer.step()
        resolver.clock.advance(60_000)
    (letter,) = resolver.dead_letters.list()
    assert (letter.stage, letter.code, steps) == ("resolve", "too_many_attempts", ATTEMPTS_MAX)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", encode_call(Key("ada", "no such key"))])
def test_garbage_on_the_queue_stops_nothing(body: bytes) -> None:
    """It is put aside, and what came with it is done."""
    resolver = Resolver()
    resolver.queue.send([body, encode_call(resolver.conflict())])
    while resolver.queue.depth():
        assert resolver.consumer.step()
    (letter,) = resolver.dead_letters.list()
    assert letter.body == body
    assert resolver.regions["a"].store.changes.read(0, 100)[-1].region == "a"


def test_after_a_retirement_every_key_is_looked_at() -> None:
    """Once, in bounded steps, also across a restart; what the region held can then be spent here."""
    resolver = Resolver()
    players = [f"p{n:03d}" for n in range(2 * CALLS_MAX + 5)]
    for player in players:
        resolver.regions.send("b", update({"player_id": player, "op": "add", "n": 2}, producer="b"))
    resolver.regions.carry("b", "a")
    assert resolver.consumer.step() == 0
    resolver.retired["b"] = resolver.regions["a"].retired["b"] = "a"
    assert resolver.consumer.step() == CALLS_MAX
    resolver.restart()
    assert [resolver.consumer.step() for _ in range(4)] == [CALLS_MAX, CALLS_MAX, 5, 0]
    resolver.restart()
    loaded = resolver.store.loaded
    assert resolver.consumer.step() == 0
    assert resolver.store.loaded == loaded
    rows = resolver.regions["a"].store.load([Key(player, "gold") for player in players])
    assert all("a" in regions for regions in rows.values())


def test_keys_that_change_under_the_look_come_again() -> None:
    """As calls, like any other."""
    resolver = Resolver()
    resolver.regions.send("b", add(2))
    resolver.regions.carry("b", "a")
    resolver.retired["b"] = "a"
    resolver.store.lost = 1
    assert resolver.consumer.step() == 1
    while resolver.queue.depth():
        resolver.clock.advance(1000)
        resolver.consumer.step()
    assert "a" in resolver.regions["a"].store.load([Key("ada", "gold")])[Key("ada", "gold")]


def test_what_a_retired_region_had_spent_unknown_to_all_is_told() -> None:
    """Once, among the dead letters: nothing can be done about it but by a person."""
    resolver = Resolver()
    resolver.retired["b"] = resolver.regions["a"].retired["b"] = "a"
    resolver.regions.send("b", update({"op": "subtract", "n": 4}, producer="b"))
    resolver.regions.send("a", update({"op": "subtract", "n": 10}))
    resolver.regions.carry("b", "a")
    for _ in range(3):
        resolver.queue.send([encode_call(Key("ada", "gold"))])
        resolver.consumer.step()
    (letter,) = resolver.dead_letters.list()
    assert (letter.stage, letter.code) == ("resolve", "overspent")
    assert "ada/gold is below its minimum (it by 4)" in letter.reason


def test_a_copy_is_made_in_steps_and_misses_nothing_that_is_written_meanwhile(way: OneWay) -> None:
    """What the source writes after the copy was begun is carried after it; the checkpoint moves when all is there."""
    keys = [Key(f"p{n:04d}", "gold") for n in range(2 * COPIED_AT_ONCE + 3)]
    for key in keys:
        way.write(key, 1)
    assert way.link.carry() == COPIED_AT_ONCE
    way.write(keys[0], 2)
    way.write(Key("a", "gold"), 1)
    assert (way.link.copied, way.checkpoints.load(link_name(THERE, HERE))) == (False, 0)
    for _ in range(3):
        way.link.carry()
    assert way.link.at_end
    everything = [Key("a", "gold"), *keys]
    assert way.target.load(everything) == way.source.load(everything)


def test_a_copy_that_is_broken_off_begins_anew(way: OneWay) -> None:
    """Nothing that was copied counts before all is."""
    for n in range(COPIED_AT_ONCE + 3):
        way.write(Key(f"p{n:04d}", "gold"), 1)
    way.link.carry()
    way.restart()
    while not way.link.at_end:
        way.link.carry()
    assert len(way.target.keys(None, 10_000)) == COPIED_AT_ONCE + 3


def test_changes_that_are_let_go_of_while_others_are_held_back_are_missed_by_nobody(way: OneWay) -> None:
    """The link carries what it holds, and then copies."""
    way.write(KEYS[0], 1)
    way.link.carry()
    way.settings = LinkSettings(lag_ms=1000)
    way.write(KEYS[0], 2)
    way.link.carry()
    for key in KEYS[1:]:
        way.write(key, 1)
    way.source.changes.trim(way.source.changes.head() - 1)
    for _ in range(5):
        way.now_s += 1
        way.link.carry()
    assert way.arrived() == way.there()


def test_a_damaged_source_is_no_reason_to_stop(way: OneWay, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told which one it is, and tried again."""

    def fail(*_: object) -> None:
        raise InvariantViolated("file is not a database")

    way.write(KEYS[0], 1)
    with monkeypatch.context() as patch:
        patch.setattr(way.source, "keys", fail)
        consumer = ReplicateConsumer(lambda: {THERE: way.link}, lambda: None)
        assert consumer.step() == 0
        assert "the store of there is damaged" in consumer.stats.last_error
    assert consumer.step() == 1


def test_a_second_retirement_during_the_look_begins_it_anew() -> None:
    """What has been looked at for the first may hold what only the second region has said."""
    resolver = Resolver()
    players = [f"p{n:03d}" for n in range(2 * CALLS_MAX)]
    for player in players:
        resolver.regions.send("b", update({"player_id": player, "op": "add", "n": 2}, producer="b"))
    resolver.regions.carry("b", "a")
    resolver.retired["c"] = "a"
    assert resolver.consumer.step() == CALLS_MAX
    resolver.retired["b"] = "a"
    seen = 0
    while step := resolver.consumer.step():
        seen += step
    assert seen == len(players)


def test_what_waits_is_not_resolved() -> None:
    """Neither calls nor the look at all keys: rights would be taken over by what is not known yet."""
    resolver = Resolver()
    resolver.queue.send([encode_call(resolver.conflict())])
    resolver.retired["b"] = "a"
    resolver.waits = "its past"
    assert resolver.consumer.step() == 0
    assert (resolver.queue.depth(), resolver.store.loaded) == (1, 0)
    resolver.waits = ""
    assert resolver.consumer.step() > 0


def test_a_row_of_the_source_that_nobody_wrote_is_no_reason_to_stop(way: OneWay) -> None:
    """It is the source's trouble, and told as that."""
    way.write(KEYS[0], 1)
    way.link.carry()
    (read,) = way.source.load(KEYS[:1]).values()
    damaged = Write(KEYS[0], THERE, f"{THERE}:1", f"{THERE}:2", read[THERE], b"\xc1")
    assert way.source.commit([[damaged]]) == [True]
    with pytest.raises(Unavailable, match="the store of there is damaged"):
        way.link.carry()
