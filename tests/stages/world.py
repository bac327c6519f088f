"""All stages on the memory backends, driven by hand: what the tests of stages stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints, MemoryStream
from playerstate.core.answers import Stats
from playerstate.core.groups import Wants
from playerstate.core.model import Key, Op, Update
from playerstate.core.schema import Schema, parse_schema
from playerstate.core.suspicions import Suspicions
from playerstate.core.wire import encode_record, encode_update
from playerstate.folder import starter_schema
from playerstate.ports.stream import NewRecord
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.service import Parts, Service
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.apply import Apply
from playerstate.stages.audit import Record
from playerstate.stages.deliveries import NoteDeliveries
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.link import Link
from playerstate.stages.project import Group, Project
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Verified, Verify
from playerstate.stages.verify_once import VerifyOnce
from playerstate.stages.walk import Walk

REGION = "local"
NOW_MS = 1_700_000_000_000


def starter() -> Schema:
    """The schema that the tests of stages use."""
    return parse_schema(starter_schema())


class World:
    """One region. `step_all` moves everything that waits as far as it goes."""

    def __init__(self, *, seed: int = 0, schema: Schema | None = None) -> None:
        random = Random(seed)
        self.schema = schema or starter()
        self.clock = ManualClock(NOW_MS)
        self.stream = MemoryStream()
        self.checkpoints = MemoryCheckpoints()
        self.store = MemoryStore()
        self.cache = MemoryCache()
        self.graph = MemoryGraph()
        self.audit = MemoryAudit()
        self.dead_letters = MemoryDeadLetters()
        self.findings = MemoryFindings()
        self.queues = {name: MemoryQueue(self.clock, random, repeat_share=0.2) for name in ("link", "audit")}
        self.accept = Accept(self.schema, self.stream, self.clock, Lanes("test", 1))
        note = NoteDeliveries(REGION, self.queues["audit"], self.clock)
        self.apply = Apply(self.schema, REGION, self.store, self.dead_letters, self.clock, kept_max=4, note=note)
        groups = [Group(self.queues["link"], Wants.EDGES), Group(self.queues["audit"], Wants.EVERYTHING)]
        self.project = Project(self.schema, REGION, self.store, self.cache, groups, self.clock, findings=self.findings)
        self.link = Link(self.schema, self.graph)
        self.record = Record(self.audit, self.findings)

    def calls(self, kind: type[Service] = Service, *, on_accepted: Callable[[], object] = lambda: None) -> Service:
        """The calls of a node on this world."""
        parts = Parts(
            self.stream,
            self.checkpoints,
            self.store,
            self.store.changes,
            self.cache,
            self.queues,
            self.graph,
            self.audit,
            self.dead_letters,
            self.findings,
        )
        return kind(
            self.schema,
            parts,
            self.accept,
            stats=lambda: Stats(REGION, {}, {}, {}, 0, 0),
            verify_once=self.verify_once(),
            on_accepted=on_accepted,
            on_close=lambda: None,
            clock=self.clock,
        )

    def verify_once(self, **limits: Any) -> VerifyOnce:
        """Verification on demand, for which no time passes."""
        compared = Verified(self.store, self.store.changes, self.checkpoints, self.cache, self.graph, self.audit)
        verify, repairs = Verify(self.schema, REGION, compared), Repairs(self.schema, REGION, compared, self.clock)

        def begin(repair: bool) -> Inquiry:
            found = self.findings if repair else None
            suspicions = Suspicions(lambda _: 0)
            return Inquiry(REGION, verify, repairs, found, self.clock, suspicions, repairs_wanted=lambda: repair)

        return VerifyOnce(Walk(compared), begin, self.store.count, Random(0), lambda _: None, **limits)

    def consumers(self) -> list[Any]:
        """Fresh consumers, as after a start."""
        return [
            ApplyConsumer(self.stream, self.checkpoints, self.apply, self.store.changes),
            ProjectConsumer(self.store.changes, self.checkpoints, self.project),
            QueueConsumer("link", self.queues["link"], self.link.handle, self.dead_letters, self.clock),
            self._audit_consumer(),
        ]

    def _audit_consumer(self) -> QueueConsumer:
        queue, form = self.queues["audit"], NOTICES_AND_DELIVERIES
        return QueueConsumer("audit", queue, self.record.handle, self.dead_letters, self.clock, form=form)

    def step_all(self) -> None:
        """Until nothing waits."""
        consumers = self.consumers()
        while sum(consumer.step() for consumer in consumers):
            pass

    def put_on_stream(self, *bodies: bytes) -> None:
        """Append what may be anything, past accept."""
        self.stream.append([NewRecord("anyone", body) for body in bodies])

    def put_updates(self, *updates: Update) -> None:
        """Append updates past accept, a record each."""
        self.put_on_stream(*(encode_record(self.clock.now_ms(), [encode_update(update)]) for update in updates))

    def value(self, player_id: str, state_key: str) -> Any:
        """What readers of the cache see."""
        view = self.cache.get(Key(player_id, state_key))
        return msgspec.json.decode(view.value) if view else None

    def causes(self) -> list[tuple[str, int, str, str]]:
        """Identity and key of every cause in the audit, with repetitions if there were any."""
        return [
            (cause.producer, cause.sequence, t.player_id, t.state_key)
            for player in {key.player_id for key in self.store.keys(None, 10_000)}
            for t in self.audit.history(player, limit=10_000)
            for cause in t.causes
        ]


def update(*ops: dict[str, Any], producer: str = "game-1", sequence: int = 1, **rest: Any) -> Update:
    """An update from plain operations; what they leave out is player `ada` and key `gold`."""
    full = [msgspec.convert({"player_id": "ada", "state_key": "gold", **op}, Op) for op in ops]
    return Update(full, producer, sequence, rest.pop("sent_at", NOW_MS), **rest)


def add(n: int, *, sequence: int = 1, **rest: Any) -> Update:
    """Gold for ada."""
    return update({"op": "add", "n": n}, sequence=sequence, **rest)


def records(world: World) -> Sequence[Any]:
    """Everything on the stream."""
    return world.stream.read(0, 10_000)
