"""One region or several with all that verification compares, looked at by hand: what its tests stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from msgspec import structs

from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.store import MemoryStore, _Stored
from playerstate.backends.memory.stream import MemoryCheckpoints
from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, Finding
from playerstate.core.groups import Wants
from playerstate.core.model import Key
from playerstate.core.schema import Schema
from playerstate.core.suspicions import Suspicions
from playerstate.core.wire import encode_row, row_readers
from playerstate.errors import Unavailable
from playerstate.ports.replication import Copies
from playerstate.runtime.messages import QueueConsumer
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.stages.audit import Record
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.project import Group, Project
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Verified, Verify
from stages.regions import SCHEMA, Regions
from stages.world import REGION, World

CACHE_STALE_S, GRAPH_STALE_S, REGION_STALE_S = 15, 30, 300


def stale_after_ms(place: str) -> float:
    """As the settings have it by default."""
    return {CACHE: CACHE_STALE_S, GRAPH: GRAPH_STALE_S}.get(place, REGION_STALE_S) * 1000


class Watch:
    """An inquiry of one region, looked through once a second."""

    def __init__(self, schema: Schema, region: str, parts: Verified, clock: ManualClock) -> None:
        self.parts = parts
        self.now = 0
        self.repairs_wanted = True
        self.findings = MemoryFindings()
        self.verify = Verify(schema, region, parts)
        self.repairs = Repairs(schema, region, parts, clock)
        self.suspicions = Suspicions(stale_after_ms)
        self.inquiry = Inquiry(
            region,
            self.verify,
            self.repairs,
            self.findings,
            clock,
            self.suspicions,
            repairs_wanted=lambda: self.repairs_wanted,
        )
        self._clock = clock

    def look(self, *players: str, after_s: float = 1.0) -> list[Finding]:
        """One look, a second after the one before; what was confirmed, with what became of it."""
        self.now += int(after_s * 1000)
        self._clock.advance(int(after_s * 1000))
        return self.inquiry.look(players or ("ada",), self.now)[1]

    def find(self, *players: str, within_s: int = 3) -> list[Finding]:
        """All that the looks of so many seconds confirm."""
        return [finding for _ in range(within_s) for finding in self.look(*players)]

    def differences(self, *players: str) -> list[Difference]:
        """What is not as it should be now."""
        return self.verify.look(players or ("ada",)).differences


def watch(world: World, **others: Any) -> Watch:
    """The watch of a world of one region; some of the parts may be others than the world's."""
    parts = Verified(world.store, world.store.changes, world.checkpoints, world.cache, world.graph, world.audit)
    return Watch(world.schema, REGION, parts._replace(**others), world.clock)


class Silent:
    """A part that does not answer, whatever it is asked."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*_arguments: Any, **_named: Any) -> Any:
            raise Unavailable(f"{name}: away")

        return answer


class StoreCopies(NamedTuple):
    """`Copies` in another region's memory store."""

    region: str
    owner: str
    store: MemoryStore
    carried: Callable[[], int | None]

    def passed(self) -> int | None:
        """How far the way there has come."""
        return self.carried()

    def load(self, player_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The owner's rows there."""
        return [
            {
                key.state_key: rows[self.owner]
                for key, rows in self.store.load_player(player_id).items()
                if self.owner in rows
            }
            for player_id in player_ids
        ]


class Watched:
    """What verification needs of one region beside its store: a cache and a history that follow it, and a watch."""

    def __init__(self, world: WatchedRegions, name: str) -> None:
        store, clock = world[name].store, world.clock
        self.cache, self.audit, self.checkpoints = MemoryCache(), MemoryAudit(), MemoryCheckpoints()
        queue = MemoryQueue(clock, Random(0))
        project = Project(SCHEMA, name, store, self.cache, [Group(queue, Wants.EVERYTHING)], clock)
        self.consumers: list[Any] = [
            ProjectConsumer(store.changes, self.checkpoints, project),
            QueueConsumer("audit", queue, Record(self.audit).handle, MemoryDeadLetters(), clock),
        ]
        parts = Verified(
            store,
            store.changes,
            self.checkpoints,
            self.cache,
            MemoryGraph(),
            self.audit,
            copies=lambda: world.copies_for(name),
            cut_off=lambda: [other for other in world.names if other != name and other in world.cut],
        )
        self.watch = Watch(SCHEMA, name, parts, clock)


class WatchedRegions(Regions):
    """Some regions, which verify each other. Those in `cut` cannot be reached, those in `silent` do not answer."""

    def __init__(self, names: str = "abc") -> None:
        super().__init__()
        self.names = names
        self.cut: set[str] = set()
        self.silent: set[str] = set()
        self.watched = {name: Watched(self, name) for name in names}

    def watch(self, name: str) -> Watch:
        """The watch of a region."""
        return self.watched[name].watch

    def copies_for(self, owner: str) -> list[Copies]:
        """What the others hold of a region's rows."""
        found: list[Copies] = []
        for other in self.names:
            if other != owner and other not in self.cut:
                store: Any = Silent() if other in self.silent else self[other].store
                found.append(StoreCopies(other, owner, store, lambda other=other: self[owner].carried.get(other, 0)))
        return found

    def follow(self) -> None:
        """Everything that was written comes everywhere: into the other regions, into caches and histories."""
        while self.carry_all() + sum(one.step() for name in self.names for one in self.watched[name].consumers):
            pass

    def carry_all(self) -> int:
        """Rows come into all other regions; how many did."""
        pairs = [(source, target) for source in self.names for target in self.names if source != target]
        return sum(self.carry(source, target) for source, target in pairs)

    def agree(self) -> bool:
        """Once everything has come everywhere: whether nothing differs, and all regions show the same."""
        self.follow()
        keys = self[self.names[0]].store.keys(None, 1000)
        views = {name: [self[name].view(key) for key in keys] for name in self.names}
        shown = {str([(view.version, bytes(view.value)) for view in views[name]]) for name in self.names}
        return len(shown) == 1 and not any(self.watch(name).differences("ada", "eve") for name in self.names)


def tamper(store: MemoryStore, key: Key, region: str, body: bytes, *, version: str | None = None) -> None:
    """Change a stored row past the system, which is told of no change."""
    store._rows[key][region] = _Stored(version or store._rows[key][region].version, body)


def with_state(schema: Schema, key: Key, body: bytes, state: Any) -> bytes:
    """A row that says to be of the same version, and holds something else."""
    return encode_row(structs.replace(row_readers(schema)[key.state_key].decode(body), state=state))
