"""The embedded node: one region on one machine, in a data folder.

    the node         accept, link, and whoever calls             (the graph takes one process only)
    a worker         apply
    a worker         project, audit
    valkey-server    on a private socket

Everything that must survive is in the folder. Whatever is killed, the next start goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec
import structlog

from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.core.answers import StageStats, Stats
from playerstate.core.model import Stage
from playerstate.deployment import Deployment
from playerstate.errors import StartRefused, Unavailable, described
from playerstate.folder import FOLDER_FILE, DataFolder, read_about
from playerstate.neighbourhood import Neighbourhood, is_regional
from playerstate.runtime.alarming import Alarming
from playerstate.runtime.clock import SystemClock
from playerstate.runtime.consumers import Report
from playerstate.runtime.crew import Crew, Role
from playerstate.runtime.logs import log_to_stderr
from playerstate.runtime.messages import dead_message
from playerstate.runtime.retainer import Retainer
from playerstate.runtime.retention import rules_of_follow, rules_of_node
from playerstate.runtime.socket_server import SocketServer
from playerstate.runtime.supervisor import Duty, Supervisor
from playerstate.runtime.vitals import Vitals
from playerstate.service import Parts, Service
from playerstate.settings import SettingsFile, thresholds
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.history import NOBODY
from playerstate.wiring import FolderParts, consumers, retainer, verified, verify_once
from playerstate.workers import CrewHandle, WorkerProcess

COLLECT_EVERY_S = 5.0
SEQUENCES_PER_RECORD = 2**16

log = structlog.get_logger(__name__)


class Options(msgspec.Struct, frozen=True):
    """How a node runs. `cache_url` names a cache to use instead of one of the node's own."""

    region: str | None = None
    workers: Literal["process", "thread"] = "process"
    cache_url: str | None = None
    cache_megabytes_max: int = 1024


class Node:
    """A running node, from construction to `close`. `service` is what its clients call; `parts` and `cache_url` are for
    whoever measures or checks it.

    Raises `StartRefused` if the folder is in use, is of a newer version, or does not fit the schema.
    """

    def __init__(self, path: Path, *, schema_text: str | None = None, options: Options | None = None) -> None:
        log_to_stderr()
        options = options or Options()
        with contextlib.ExitStack() as opened:
            deployment = Deployment.around(path)
            region = _region_of(deployment, path, options.region)
            folder = DataFolder(path, region=region)
            opened.callback(folder.close)
            self._settings = SettingsFile(path)
            self._clock = deployment.clock_of(folder.region) if deployment else SystemClock()
            self._vitals = Vitals(path, self._clock)
            self.schema = folder.schema(schema_text)
            self.region = folder.region
            self._valkey: ValkeyServer | None = None
            if options.cache_url is None:
                self._valkey = ValkeyServer(
                    path / "valkey", maxmemory_mb=options.cache_megabytes_max, marker=folder.marker
                )
                self._valkey.start()
                opened.callback(self._valkey.stop)
            self.cache_url = self._valkey.url if self._valkey else str(options.cache_url)
            self._parts = FolderParts.open(path, self.cache_url, regional=is_regional(path))
            opened.callback(self._parts.close)
            self._parts.store.stamp(folder.region, first=not folder.about.stamped)
            folder.note_stamped()
            if deployment is not None:
                deployment.change(lambda plan: plan.with_marker(folder.region, folder.marker))
            self._deployment = deployment
            self._around: Neighbourhood | None = None
            if is_regional(path):
                self._around = Neighbourhood(path, folder.region, self._parts.store, self._parts.checkpoints)
                opened.callback(self._around.close)
            if self._valkey is None:
                self._claim_cache(folder.marker)
            self._distrust_checkpoints()
            for queue in self._parts.queues.values():
                queue.release()  # whoever received something is gone, or about to; at worst it is done twice
            graph = LadybugGraph(path / "graph", self.schema)
            opened.callback(graph.close)
            self._crews: dict[Role, CrewHandle] = {}
            self._start_crews(path, options, graph, opened)
            self.parts = self._all_parts(graph)
            self._accept = self._make_accept()
            self.service = self._make_service()
            self._keeping = self._make_retainer(options)
            self._start_looking_after(opened)
            server = SocketServer(path, self.service)
            opened.callback(server.close)
            self._opened = opened.pop_all()

    def _start_looking_after(self, opened: contextlib.ExitStack) -> None:
        """Start what judges, restarts, puts aside, and lets go of what is too old."""
        self._alarming = Alarming(self._figures, lambda: thresholds(self._settings.current()), self._clock)
        self._alarming.look()
        self._supervisor = Supervisor(self._duties())
        self._supervisor.start()
        opened.callback(self._supervisor.stop)
        self._keeping.start()
        opened.callback(self._keeping.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether every stage still runs, and what would restart it.

        A stage that met a broken promise does not, and says so in its stats. Nor does one whose region was retired.
        """
        stages = all(crew.report().alive for crew in self._crews.values())
        return stages and self._supervisor.well and not self.retired

    @property
    def retired(self) -> bool:
        """Whether the region has been retired, and must not take another step."""
        return self._deployment is not None and self.region in self._deployment.plan().retired()

    def stats(self) -> Stats:
        """What the node has done since it started, and which alarms fire."""
        return msgspec.structs.replace(self._figures(), alarms=self._alarming.current())

    def _figures(self) -> Stats:
        parts = self._parts
        reports = {role: crew.report() for role, crew in self._crews.items()}
        stages = {name: stats for report in reports.values() for name, stats in report.stages.items()}
        lags: dict[Stage, int] = {name: queue.depth() for name, queue in parts.queues.items()}
        lags["apply"] = parts.stream.head() - parts.checkpoints.load("apply")
        lags["project"] = parts.store.changes.head() - parts.checkpoints.load("project")
        met = reports[Role.FOLLOW].verification  # what project has found on its way
        verification = reports[Role.LINK].verification.with_found(met.findings, met.repairs)
        lags["verify"] = verification.waiting
        links = reports[Role.APPLY].links
        letters = parts.dead_letters.summary()
        if self._around:
            lags["replicate"] = sum(links.values())
        return Stats(
            self.region,
            {name: msgspec.structs.replace(stages.get(name, StageStats()), lag=lag) for name, lag in lags.items()},
            reports[Role.APPLY].outcomes,
            reports[Role.FOLLOW].freshness_ms,
            letters.count,
            reports[Role.APPLY].rows_written,
            links,
            verification=verification,
            accept=self._accept.stats(),
            process=self._vitals.stats(
                worker_restarts=sum(crew.restarts for crew in self._crews.values()),
                untrimmed_s=self._keeping.idle_s("stream"),
            ),
            conflicts_resolved=reports[Role.APPLY].conflicts_resolved,
            freshness_sum_ms=reports[Role.FOLLOW].freshness_sum_ms,
            dead_letters_by_stage={str(stage): n for stage, n in letters.by_stage.items()},
            dead_letters_oldest_s=max(self._clock.now_ms() - letters.oldest_at, 0) / 1000 if letters.count else 0.0,
            retention={name: ran for report in reports.values() for name, ran in report.retention.items()}
            | self._keeping.stats,
        )

    def close(self) -> None:
        """Stop: what is under way is finished, what waits is left for the next start."""
        self._opened.close()

    def _all_parts(self, graph: LadybugGraph) -> Parts:
        parts = self._parts
        return Parts(
            parts.stream,
            parts.checkpoints,
            parts.store,
            parts.store.changes,
            parts.cache,
            parts.queues,
            graph,
            parts.audit,
            parts.dead_letters,
            parts.findings,
        )

    def _make_accept(self) -> Accept:
        parts = self._parts
        lanes = Lanes(f"{self.region}.{parts.stream.stream_id}", (parts.stream.head() + 1) * SEQUENCES_PER_RECORD)
        return Accept(
            self.schema,
            parts.stream,
            self._clock,
            lanes,
            applied=lambda: self._crews[Role.APPLY].report().applied_to,
            head=parts.stream.head(),
        )

    def _make_service(self) -> Service:
        return Service(
            self.schema,
            self.parts,
            self._accept,
            stats=self.stats,
            verify_once=verify_once(
                self.schema,
                self.region,
                verified(self._parts, self.parts.graph, self._around),
                self._parts.findings,
                self._clock,
            ),
            on_accepted=self._crews[Role.APPLY].wake,
            on_close=self.close,
            other_audits=self._around.audits if self._around else lambda: NOBODY,
            clock=self._clock,
            settings=self._settings.told,
        )

    def _make_retainer(self, options: Options) -> Retainer:
        parts = self._parts
        expire = self.service.expire_letters
        rules = rules_of_node(parts.stream, parts.checkpoints, parts.dead_letters, expire, parts.findings)
        if options.workers == "thread":
            rules += rules_of_follow(parts.audit)
        return retainer(Role.LINK, rules, parts, self._settings.current, self._around)

    def _start_crews(self, path: Path, options: Options, graph: LadybugGraph, opened: contextlib.ExitStack) -> None:
        """Start the crews: as processes, or all as threads of this one.

        Whoever is fed is there first, and so the first to stop is the one that feeds the others.
        """

        def keep(role: Role, crew: CrewHandle) -> CrewHandle:
            self._crews[role] = crew
            opened.callback(crew.stop)
            return crew

        def threads(role: Role, on_progress: Callable[[], None] = lambda: None) -> CrewHandle:
            made = consumers(role, self.schema, self.region, self._parts, graph, self._around, self._settings.current)
            crew = Crew(made, on_progress=on_progress)
            crew.start()
            return keep(role, crew)

        def process(role: Role) -> CrewHandle:
            first = Report(applied_to=self._parts.checkpoints.load("apply"))
            return keep(
                role,
                WorkerProcess(
                    role,
                    path,
                    self.region,
                    self.cache_url,
                    regional=self._around is not None,
                    first=first,
                    settings=self._settings.current,
                ),
            )

        link = threads(Role.LINK)
        if options.workers == "process":
            process(Role.FOLLOW)
            process(Role.APPLY)
        else:
            follow = threads(Role.FOLLOW, link.wake)
            threads(Role.APPLY, follow.wake)

    def _duties(self) -> list[Duty]:
        """Restart what has died, put aside what no consumer could take, and judge the alarms."""
        return [
            Duty("cache", self._restart_cache),
            *[Duty(role, crew.ensure_running) for role, crew in self._crews.items()],
            Duty("dead_messages", self._collect_dead_messages, COLLECT_EVERY_S),
            Duty("alarms", self._alarming.look),
        ]

    def _restart_cache(self) -> None:
        if self._valkey is not None and self._valkey.ensure_running():
            self._vitals.cache_restarts += 1
            log.warning("the cache had died and was started again")

    def _claim_cache(self, marker: str) -> None:
        """Refuse a cache that shows another folder's state. One that is away can be claimed at the next start."""
        try:
            self._parts.cache.claim(marker)
        except Unavailable as exc:
            log.warning("the cache does not answer; the store answers until it does", error=described(exc))

    def _distrust_checkpoints(self) -> None:
        """A consumer beyond the end of its log has come from another log: somebody has removed the file."""
        for consumer, head in (("apply", self._parts.stream.head()), ("project", self._parts.store.changes.head())):
            if self._parts.checkpoints.load(consumer) > head:
                log.warning("a log is shorter than its consumer has come; it is read from the start", stage=consumer)
                self._parts.checkpoints.save(consumer, 0)

    def _collect_dead_messages(self) -> None:
        """Put what no consumer could take among the dead letters, where an operator finds it."""
        for name, queue in self._parts.queues.items():
            bodies = queue.dead()
            if bodies:
                reason = "The stage failed on it again and again"
                self._parts.dead_letters.put(
                    [dead_message(name, body, "too_many_attempts", reason, self._clock.now_ms()) for body in bodies]
                )
                queue.forget_dead(len(bodies))


def _region_of(deployment: Deployment | None, path: Path, wanted: str | None) -> str | None:
    """The region that a folder is for, as its deployment says.

    Raises `StartRefused` if it is none's, or that of a region that is retired, or that ran in another folder: its dots
    have been handed out there.
    """
    if deployment is None:
        return wanted
    plan, folder = deployment.plan(), path.absolute().name
    region = plan.of_folder(folder)
    if region is None:
        for name in plan.retired():
            retired = plan.regions[name].retired
            if plan.regions[name].folder == folder and retired is not None:
                raise StartRefused(f"The region {name} is retired; {retired.by} has taken over its rights")
        raise StartRefused(f"{deployment.path} is a deployment, and {folder} is no region's folder in it")
    marker = plan.regions[region].marker
    if marker and (not (path / FOLDER_FILE).exists() or read_about(path).marker != marker):
        raise StartRefused(
            f"{path} is not the folder in which {region} has run. A region whose folder was lost or set back must come "
            "back under a new name, see `playerstate restore` and `playerstate region retire`"
        )
    return region
