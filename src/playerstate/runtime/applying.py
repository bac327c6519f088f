"""The consumer of the stream, in a data folder: it also lets go of changes that everybody has seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from playerstate.core.answers import RetentionStats, StageStats
from playerstate.core.model import Stage
from playerstate.ports.store import Changes
from playerstate.ports.stream import Checkpoints, Stream
from playerstate.runtime.consumers import Report
from playerstate.stages.apply import Apply

RECORDS_MAX = 5_000
CHANGES_KEPT_MAX = 1_000_000
"""How many changes are kept for a region that does not take them; it then has to copy all rows."""
KEPT_AFTER_USE = 10_000
"""How many records and changes stay after every consumer has processed them, for whoever looks."""
TRIM_AT_ONCE = 4_000


class ApplyConsumer:
    """Stream -> apply. It also lets go of changes that have been projected, for it is the one that writes their file.

    A little at every step: another process, or more at once, would hold up the writes. `carried_to` says how far other
    regions have taken the changes, `old_changes` up to where they are too old to be kept. As long as `waits_for` names
    something, nothing is applied.
    """

    name: Stage = "apply"
    linger_s = 0.0
    batch_max = RECORDS_MAX

    def __init__(
        self,
        stream: Stream,
        checkpoints: Checkpoints,
        apply: Apply,
        changes: Changes,
        *,
        carried_to: Callable[[], int] | None = None,
        waits_for: Callable[[], str] = str,
        old_changes: Callable[[], int] = int,
    ) -> None:
        self.stats = StageStats()
        self.trimmed = RetentionStats()
        self.outcomes: Counter[str] = Counter()
        self.rows_written = 0
        self.position = checkpoints.load(self.name)
        self._stream = stream
        self._checkpoints = checkpoints
        self._apply = apply
        self._changes = changes
        self._first_change: int | None = None
        self._carried_to = carried_to
        self._old_changes = old_changes
        self._waits_for = waits_for
        self._missing = ""

    def step(self) -> int:
        """Take the next records of the stream."""
        missing = self._waits_for()
        if missing or self._missing:
            self._missing = self.stats.last_error = missing
        if missing:
            return 0
        records = self._stream.read(self.position, self.batch_max)
        if not records:
            self._trim_changes()  # others' rows make changes too, where nothing is applied
            return 0
        applied = self._apply.handle(records)
        self._checkpoints.save(self.name, records[-1].position)
        self.position = records[-1].position
        self.outcomes.update(applied.outcomes)
        self.rows_written += applied.rows_written
        self.stats.processed += applied.outcomes.total()
        self._trim_changes()
        return len(records)

    def _trim_changes(self) -> None:
        if self._first_change is None:
            first = self._changes.read(0, 1)
            self._first_change = first[0].position if first else 0
        going = self._first_change + TRIM_AT_ONCE
        used = self._checkpoints.load("project") - KEPT_AFTER_USE
        if going <= used and self._carried_to is not None:
            used = max(min(used, self._carried_to()), used - CHANGES_KEPT_MAX)
        if going <= used:
            self._first_change = self._trim_up_to(going)
        old = self._old_changes()
        if old > self._first_change:
            used = self._checkpoints.load("project")
            if self._carried_to is not None:
                used = min(used, self._carried_to())
            self._first_change = self._trim_up_to(min(old, used))
        self.trimmed.last_run_at = time.time_ns() // 1_000_000

    def _trim_up_to(self, position: int) -> int:
        self.trimmed.deleted += self._changes.trim(position)
        return max(position, self._first_change or 0)

    def tell(self, report: Report) -> None:
        """Outcomes, rows, the place on the stream, and what was let go of."""
        report.retention["changes"] = self.trimmed
        report.outcomes = dict(self.outcomes)
        report.rows_written = self.rows_written
        report.applied_to = self.position
