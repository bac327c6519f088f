"""The consumer of the store's changes, in a data folder."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from playerstate.core.answers import StageStats
from playerstate.core.model import Key, Stage
from playerstate.ports.store import Changes
from playerstate.ports.stream import Checkpoints
from playerstate.runtime.consumers import Report
from playerstate.runtime.freshness import Freshness
from playerstate.stages.project import Project

CHANGES_MAX = 1_000

log = structlog.get_logger(__name__)


class ProjectConsumer:
    """Changes -> project.

    Which keys' changes were left alone, because the schema did not have them, is kept among the checkpoints. One that
    starts with a schema that has them looks at all stored rows of those keys, for their changes may be gone by then.
    """

    name: Stage = "project"
    linger_s = 0.0
    batch_max = CHANGES_MAX

    def __init__(self, changes: Changes, checkpoints: Checkpoints, project: Project) -> None:
        self.stats = StageStats()
        self.freshness = Freshness()
        self.position = checkpoints.load(self.name)
        self._changes = changes
        self._checkpoints = checkpoints
        self._project = project
        self._left_alone: set[str] = set()
        self._missed = {name for name in project.state_keys if checkpoints.load(_left_alone_name(name))}
        self._looked_to: Key | None = None

    def step(self) -> int:
        """Take the next changes of the store, and some of the rows that have to be looked at."""
        changes = self._changes.read(self.position, self.batch_max)
        if changes:
            projected = self._project.handle(changes)
            self._note_left_alone(projected.left_alone)
            self._checkpoints.save(self.name, changes[-1].position)
            self.position = changes[-1].position
            self.freshness.add(projected.freshness_ms)
            self.stats.processed += len(changes)
        looked = self._look_at_missed() if self._missed else 0
        return len(changes) + looked

    def _note_left_alone(self, state_keys: Collection[str]) -> None:
        for name in set(state_keys) - self._left_alone:
            log.warning("a key of another region is not in this one's schema; it is not shown here", state_key=name)
            self._checkpoints.save(_left_alone_name(name), 1)
            self._left_alone.add(name)

    def _look_at_missed(self) -> int:
        self._looked_to = self._project.handle_stored(self._missed, self._looked_to, self.batch_max)
        if self._looked_to is None:
            for name in self._missed:
                log.info("a key that only other regions had is shown from now on", state_key=name)
                self._checkpoints.save(_left_alone_name(name), 0)
            self._missed = set()
        return 1

    def tell(self, report: Report) -> None:
        """Freshness, and what was found wrong in the cache on the way."""
        met = self._project
        report.verification = report.verification.with_found(met.found, met.repaired)
        report.freshness_ms = self.freshness.buckets()
        report.freshness_sum_ms = self.freshness.sum_ms


def _left_alone_name(state_key: str) -> str:
    """What is called among the checkpoints that changes of a key were left alone."""
    return f"left-alone:{state_key}"
