"""Several regions on memory stores, between which rows are carried by hand: what the tests of regions stand on."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.store import MemoryStore
from playerstate.core.erasure import erasure
from playerstate.core.images import Images
from playerstate.core.model import Key, Update, View
from playerstate.core.producers import ERASER_PREFIX
from playerstate.core.row import Row
from playerstate.core.schema import parse_schema
from playerstate.core.wire import encode_record, encode_update
from playerstate.ports.stream import StreamRecord
from playerstate.stages.apply import Apply
from playerstate.stages.replicate import Replicate
from playerstate.stages.resolve import Resolve
from stages.world import NOW_MS

REGIONS = ("a", "b", "c")
SCHEMA = parse_schema(
    """
    [game]
    name = "regions"
    version = 1
    [keys.gold]
    type = "bounded_counter"
    initial = 10
    home = "b"
    [keys.bag]
    type = "inventory"
    [keys.name]
    type = "register"
    """
)
KEYS = [Key("ada", name) for name in SCHEMA.keys]


class Region:
    """One region: a store, and the stages that write it."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.store = MemoryStore()
        self.retired: dict[str, str] = {}
        """The regions that are gone, as far as this one has heard, and their heirs."""
        self.apply = Apply(SCHEMA, name, self.store, MemoryDeadLetters(), clock, retired=lambda: dict(self.retired))
        self.resolve = Resolve(SCHEMA, name, self.store, clock, retired=lambda: self.retired)
        self.carried: dict[str, int] = {}
        self._images = Images(SCHEMA)

    def row(self, key: Key, body: bytes) -> Row[Any]:
        """A stored row of a key."""
        return self._images.read(key.state_key, body).row

    def view(self, key: Key) -> View:
        """What readers see here."""
        stored = self.store.load([key])[key].values()
        return self._images.view(key, [self._images.read(key.state_key, body) for body in stored])


class Regions:
    """All of them. Nothing moves between them but by `carry`."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.by_name = {name: Region(name, self.clock) for name in REGIONS}
        self._links = {
            (source, target): Replicate(source, self.by_name[target].store)
            for source, target in permutations(REGIONS, 2)
        }

    def __getitem__(self, name: str) -> Region:
        return self.by_name[name]

    def send(self, region: str, update: Update) -> str:
        """Have a region apply an update; its outcome."""
        self.clock.advance(1)
        record = StreamRecord(1, encode_record(self.clock.now_ms(), [encode_update(update)]))
        (outcome,) = self[region].apply.handle([record]).outcomes
        return str(outcome)

    def erase(self, region: str, key: Key, *, sequence: int = 1) -> str:
        """Have a region erase a key; its outcome."""
        now = self.clock.now_ms() + 1  # when `send` will take it
        return self.send(
            region, erasure(key, "asked for", eraser=f"{ERASER_PREFIX}{region}", sequence=sequence, now=now)
        )

    def carry(self, source: str, target: str, *, changes: int = 10_000, again: int = 0) -> int:
        """Bring up to so many more of a region's changes to another, and some that were brought before again."""
        region = self[source]
        position = max(region.carried.get(target, 0) - again, 0)
        found = region.store.changes.read(position, changes)
        if found:
            region.carried[target] = max(found[-1].position, region.carried.get(target, 0))
        return self._links[source, target].handle(found)

    def resolve(self, region: str) -> int:
        """Have a region look at every key; how many rows it wrote."""
        self.clock.advance(1)
        return self[region].resolve.handle(KEYS).rows_written

    def settle(self, *, seed: int = 0, rounds_max: int = 20, without: str = "") -> None:
        """Carry and resolve, in any order, until nothing is left to do; `without` a region that is gone."""
        links = [pair for pair in self._links if without not in pair]
        tasks: list[Any] = [lambda pair=pair: self.carry(*pair) for pair in links]
        tasks += [lambda region=region: self.resolve(region) for region in REGIONS if region != without]
        random = Random(seed)
        for _ in range(rounds_max):
            random.shuffle(tasks)
            if not sum([task() for task in tasks]):
                return
        raise AssertionError("the regions do not come to rest")
