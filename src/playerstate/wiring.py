"""Which backend stands behind which port, and what feeds which stage. The one place where that is written down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from playerstate.backends.sqlite.audit import SqliteAudit
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters
from playerstate.backends.sqlite.findings import SqliteFindings
from playerstate.backends.sqlite.queue import SqliteQueue
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.core.groups import CONSUMER_GROUPS
from playerstate.core.model import Stage
from playerstate.core.schema import Schema
from playerstate.core.suspicions import Suspicions
from playerstate.neighbourhood import Neighbourhood
from playerstate.ports.clock import Clock
from playerstate.ports.findings import Findings
from playerstate.ports.graph import Graph
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.clock import SystemClock
from playerstate.runtime.consumers import Consumer
from playerstate.runtime.crew import Role
from playerstate.runtime.messages import NOTICES_AND_DELIVERIES, QueueConsumer
from playerstate.runtime.old_changes import OldChanges
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.runtime.replicating import ReplicateConsumer
from playerstate.runtime.resolving import ResolveConsumer
from playerstate.runtime.retainer import Retainer, RetentionClock
from playerstate.runtime.retention import Rule
from playerstate.runtime.verifying import VerifyConsumer
from playerstate.settings import Settings, Verification
from playerstate.stages.apply import Apply
from playerstate.stages.audit import Record
from playerstate.stages.deliveries import NoteDeliveries
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.link import Link
from playerstate.stages.project import Group, Project
from playerstate.stages.repairs import Repairs
from playerstate.stages.resolve import Resolve
from playerstate.stages.verify import Linked, Verified, Verify
from playerstate.stages.verify_once import VerifyOnce
from playerstate.stages.walk import Walk

ATTEMPTS_MAX = 1_000
"""How often a message is tried: what a stage cannot take is put aside at once, so this is for outages and kills."""
KEPT_MAX = 20_000
"""How many working copies of rows apply keeps: some 40 MB at 1 KB a row."""
LINK_LINGER_S = 0.25
"""What the graph costs, it costs by the transaction more than by the edge."""


_REPAIRING = Settings(Verification(repair=True))
_LOOKING = Settings(Verification(repair=False))


class Closable(Protocol):
    """A part that holds something open."""

    def close(self) -> None:
        """Let go of it."""
        ...


T = TypeVar("T", bound=Closable)


@dataclass(frozen=True)
class FolderParts:
    """The durable parts in a data folder, which any process of the node may open, and the cache."""

    stream: SqliteStream
    checkpoints: SqliteCheckpoints
    store: SqliteStore
    cache: ValkeyCache
    queues: dict[Stage, SqliteQueue]
    audit: SqliteAudit
    dead_letters: SqliteDeadLetters
    findings: SqliteFindings

    @classmethod
    def open(cls, path: Path, cache_url: str, *, regional: bool = False) -> FolderParts:
        """Open, or make, what the folder holds; `regional` is one that has other regions beside it.

        Raises `StartRefused` or `Unavailable`.
        """
        clock = SystemClock()
        queues: list[Stage] = [*CONSUMER_GROUPS, "resolve"] if regional else [*CONSUMER_GROUPS]
        with contextlib.ExitStack() as opened:

            def keep(part: T) -> T:
                opened.callback(part.close)
                return part

            parts = cls(
                keep(SqliteStream(path / "stream.db")),
                keep(SqliteCheckpoints(path / "checkpoints.db")),
                keep(SqliteStore(path / "store.db")),
                keep(ValkeyCache.open(cache_url)),
                {
                    name: keep(SqliteQueue(path / f"queue-{name}.db", clock, attempts_max=ATTEMPTS_MAX))
                    for name in queues
                },
                keep(SqliteAudit(path / "audit.db")),
                keep(SqliteDeadLetters(path / "dead-letters.db")),
                keep(SqliteFindings.open(path / "findings.db")),
            )
            opened.pop_all()
            return parts

    def close(self) -> None:
        """Close everything."""
        fixed: list[Closable] = [
            self.stream,
            self.checkpoints,
            self.store,
            self.cache,
            self.audit,
            self.dead_letters,
            self.findings,
        ]
        for part in [*fixed, *self.queues.values()]:
            part.close()


def doorbell_path(folder: Path, role: Role) -> Path:
    """Where the doorbell of a crew is."""
    return folder / f"{role}.bell"


def verified(parts: FolderParts, graph: Graph, neighbourhood: Neighbourhood | None) -> Verified:
    """What verification compares."""
    linked = Linked(parts.checkpoints, parts.queues["link"])
    found = Verified(
        parts.store, parts.store.changes, parts.checkpoints, parts.cache, graph, parts.audit, linked=linked
    )
    if neighbourhood is None:
        return found
    return found._replace(copies=neighbourhood.copies, cut_off=neighbourhood.cut_off, waits_for=neighbourhood.waits_for)


def inquiry(
    schema: Schema,
    region: str,
    compared: Verified,
    findings: Findings | None,
    clock: Clock,
    settings: Callable[[], Settings],
    *,
    at_once: bool = False,
) -> Inquiry:
    """An inquiry with suspects of its own. What lags and its way has passed is waited for, unless it is told `at_once`.

    What the way is still to come to lags in any case.
    """

    def stale_after_ms(place: str) -> float:
        return 0 if at_once else settings().verification.stale_after_s(place) * 1000

    return Inquiry(
        region,
        Verify(schema, region, compared),
        Repairs(schema, region, compared, clock),
        findings,
        clock,
        Suspicions(stale_after_ms),
        repairs_wanted=lambda: settings().verification.repair,
    )


def verify_once(schema: Schema, region: str, compared: Verified, findings: Findings, clock: Clock) -> VerifyOnce:
    """What verifies on demand. An inquiry that does not repair leaves its findings to who asked."""

    def begin(repair: bool) -> Inquiry:
        if repair:
            return inquiry(schema, region, compared, findings, clock, lambda: _REPAIRING, at_once=True)
        return inquiry(schema, region, compared, None, clock, lambda: _LOOKING, at_once=True)

    return VerifyOnce(Walk(compared), begin, compared.store.count, Random(), time.sleep)  # noqa: S311 - samples


def retainer(
    role: Role,
    rules: Sequence[Rule],
    parts: FolderParts,
    settings: Callable[[], Settings],
    neighbourhood: Neighbourhood | None = None,
) -> Retainer:
    """What enforces rules in the process of a crew."""
    clock = neighbourhood.clock if neighbourhood else SystemClock()
    return Retainer(rules, lambda: settings().retention, clock, RetentionClock(clock, parts.checkpoints, role))


def consumers(
    role: Role,
    schema: Schema,
    region: str,
    parts: FolderParts,
    graph: Graph | None = None,
    neighbourhood: Neighbourhood | None = None,
    settings: Callable[[], Settings] = Settings,
) -> list[Consumer]:
    """The consumers of a crew. `LINK` needs the graph; one of several regions needs its neighbourhood."""
    clock = neighbourhood.clock if neighbourhood else SystemClock()
    match role:
        case Role.APPLY:
            retired = neighbourhood.settled if neighbourhood else dict
            apply = Apply(
                schema,
                region,
                parts.store,
                parts.dead_letters,
                clock,
                kept_max=KEPT_MAX,
                retired=retired,
                note=NoteDeliveries(region, parts.queues["audit"], clock),
            )
            stream, changes = parts.stream, parts.store.changes
            believed = RetentionClock(clock, parts.checkpoints, role)
            old_changes = OldChanges(changes, region, lambda: settings().retention, believed, parts.checkpoints).up_to
            if neighbourhood is None:
                return [ApplyConsumer(stream, parts.checkpoints, apply, changes, old_changes=old_changes)]
            resolve = Resolve(schema, region, parts.store, clock, retired=neighbourhood.settled)
            return [
                ApplyConsumer(
                    stream,
                    parts.checkpoints,
                    apply,
                    changes,
                    carried_to=neighbourhood.carried_to,
                    waits_for=neighbourhood.waits_for,
                    old_changes=old_changes,
                ),
                ReplicateConsumer(neighbourhood.links, apply.forget_kept),
                ResolveConsumer(
                    parts.queues["resolve"],
                    resolve,
                    parts.checkpoints,
                    parts.dead_letters,
                    clock,
                    waits_for=neighbourhood.waits_for,
                ),
            ]
        case Role.FOLLOW:
            groups = [Group(parts.queues[name], wants) for name, wants in CONSUMER_GROUPS.items()]
            project = Project(
                schema,
                region,
                parts.store,
                parts.cache,
                groups,
                clock,
                alone=neighbourhood is None,
                resolve=parts.queues.get("resolve"),
                retired=neighbourhood.retirements if neighbourhood else dict,
                predecessors=neighbourhood.predecessors if neighbourhood else (),
                findings=parts.findings,
            )
            audit = Record(parts.audit, parts.findings).handle
            return [
                ProjectConsumer(parts.store.changes, parts.checkpoints, project),
                QueueConsumer(
                    "audit", parts.queues["audit"], audit, parts.dead_letters, clock, form=NOTICES_AND_DELIVERIES
                ),
            ]
        case Role.LINK:
            if graph is None:
                raise ValueError("link needs the graph")
            link = Link(schema, graph).handle
            compared = verified(parts, graph, neighbourhood)
            return [
                QueueConsumer("link", parts.queues["link"], link, parts.dead_letters, clock, linger_s=LINK_LINGER_S),
                VerifyConsumer(
                    compared, inquiry(schema, region, compared, parts.findings, clock, settings), clock, settings
                ),
            ]
