"""One simulated region: parts that last, and processes that come and go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any

from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints, MemoryStream
from playerstate.core.findings import CACHE, GRAPH
from playerstate.core.groups import Wants
from playerstate.core.model import Key
from playerstate.core.schema import Schema
from playerstate.core.suspicions import Suspicions
from playerstate.ports.replication import Copies
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.consumers import Consumer
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.simulation.faults import Fate, Late, Mortal
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.apply import Apply
from playerstate.stages.audit import Record
from playerstate.stages.deliveries import NoteDeliveries
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.link import Link
from playerstate.stages.project import Group, Project
from playerstate.stages.repairs import Repairs
from playerstate.stages.resolve import Resolve
from playerstate.stages.verify import Linked, Verified, Verify

REPEAT_SHARE = 0.1
"""Of the messages that queues deliver, how many they deliver again."""
BATCH_MAX = 8
KEPT_MAX = 6
"""How many rows apply keeps in memory: they are stale when another process, or the resolver, has written since."""
STALE_AFTER_MS = {CACHE: 1_000, GRAPH: 1_000}
STALE_COPY_AFTER_MS = 2_000
"""A step takes 20 ms, so that much lags for longer, and all of that because its way has not come to it."""
STEP_MS = 20
ATTEMPTS_MAX = 10_000
"""A crash in the middle costs a message an attempt, and here there are many."""


class SimRegion:
    """Its consumers are production's, on parts at whose every call the process may die."""

    def __init__(
        self,
        name: str,
        schema: Schema,
        keys: Sequence[Key],
        clock: ManualClock,
        random: Random,
        fate: Fate,
        late: Late,
    ) -> None:
        self.name = name
        self.clock = clock
        self.stream = MemoryStream()
        self.checkpoints = MemoryCheckpoints()
        self.store = MemoryStore()
        self.cache = MemoryCache()
        self.graph = MemoryGraph()
        self.audit = MemoryAudit()
        self.dead_letters = MemoryDeadLetters()
        self.queues = {
            group: MemoryQueue(clock, random, attempts_max=ATTEMPTS_MAX, repeat_share=REPEAT_SHARE)
            for group in ("link", "audit", "resolve")
        }
        self.lost: dict[Key, list[int]] = {key: [] for key in keys}
        """When the cache lost what it held of a key."""
        self.retired: dict[str, str] = {}
        """The regions that are gone, as far as this one has heard, and their heirs."""
        self.findings = MemoryFindings()
        self.copies: Callable[[], Sequence[Copies]] = list
        """The other regions' copies of this one's rows, those that can be reached."""
        self.boots = 0
        self._schema = schema
        self._fate = fate
        self._late = late
        self._random = random
        self.boot()

    def boot(self) -> None:
        """Start the processes anew: nothing is left of what they had in memory."""
        self.boots += 1
        with self._fate.spares():
            self._start()

    def _start(self) -> None:
        schema, clock = self._schema, self.clock
        store, cache = self._mortal(self.store, self.cache, slow=("commit", "put"))

        def retired() -> dict[str, str]:
            return dict(self.retired)  # as it is now

        def copies() -> Sequence[Copies]:
            return self.copies()

        changes, stream, checkpoints = self._mortal(self.store.changes, self.stream, self.checkpoints)
        graph, audit, letters = self._mortal(self.graph, self.audit, self.dead_letters)
        link_queue, audit_queue, resolve_queue = self._mortal(*self.queues.values())
        self.accept = Accept(schema, stream, clock, Lanes(f"{self.name}.{self.boots}", 1))
        self.resolve = Resolve(schema, self.name, store, clock, retired=retired)
        groups = [Group(link_queue, Wants.EDGES), Group(audit_queue, Wants.EVERYTHING)]
        note = NoteDeliveries(self.name, audit_queue, clock)
        self.apply = Apply(schema, self.name, store, letters, clock, kept_max=KEPT_MAX, retired=retired, note=note)
        project = Project(schema, self.name, store, cache, groups, clock, resolve=resolve_queue, retired=retired)
        self.consumers: dict[str, Consumer] = {
            "apply": ApplyConsumer(stream, checkpoints, self.apply, changes),
            "project": ProjectConsumer(changes, checkpoints, project),
            "link": QueueConsumer("link", link_queue, Link(schema, graph).handle, letters, clock),
            "audit": QueueConsumer(
                "audit", audit_queue, Record(audit).handle, letters, clock, form=NOTICES_AND_DELIVERIES
            ),
            "resolve": ResolveConsumer(resolve_queue, self.resolve, checkpoints, letters, clock, random=self._random),
        }
        for consumer in self.consumers.values():
            consumer.batch_max = BATCH_MAX
        compared = Verified(
            store, changes, checkpoints, cache, graph, audit, copies, linked=Linked(checkpoints, link_queue)
        )
        verify, repairs = Verify(schema, self.name, compared), Repairs(schema, self.name, compared, clock)
        suspicions = Suspicions(lambda place: STALE_AFTER_MS.get(place, STALE_COPY_AFTER_MS))
        self.inquiry = Inquiry(self.name, verify, repairs, self.findings, clock, suspicions)

    def verify(self, players: Sequence[str]) -> str | None:
        """Look at players; what was found, if anything was."""
        _, found = self.inquiry.look(players, self._fate.moment * STEP_MS)
        return ", ".join(f"{finding.key} {finding.kind} in {finding.place}" for finding in found) or None

    def lose_cache(self, player_id: str | None) -> None:
        """Have the cache lose a player, or everything."""
        if player_id is None:
            self.cache.lose()
        else:
            self.cache.evict(player_id)
        for key, moments in self.lost.items():
            if player_id in (None, key.player_id):
                moments.append(self._fate.moment)

    def _mortal(self, *parts: Any, slow: Collection[str] = ()) -> list[Any]:
        return [Mortal(part, self._fate, self._late, slow=slow) for part in parts]
