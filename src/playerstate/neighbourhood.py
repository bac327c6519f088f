"""The other regions of a deployment, as one of them meets them: their stores to read, and the ways that lead here."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import NamedTuple

from playerstate.backends.sqlite.store import SqliteChanges, SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints
from playerstate.deployment import Deployment
from playerstate.errors import Unavailable
from playerstate.ports.clock import Clock
from playerstate.runtime.regional import Link, LinkSettings, link_name


class _Opened(NamedTuple):
    """A `Source` in a folder."""

    store: SqliteStore
    changes: SqliteChanges


class Neighbourhood:
    """What one region needs of the others, which come and go while it runs. It reads their files and writes none."""

    def __init__(self, deployment: Deployment, region: str, store: SqliteStore, checkpoints: SqliteCheckpoints) -> None:
        self.clock: Clock = deployment.clock_of(region)
        self._deployment = deployment
        self._region = region
        self._store = store
        self._checkpoints = checkpoints
        self._links: dict[str, Link] = {}
        self._others: dict[str, SqliteCheckpoints] = {}
        self._opened = contextlib.ExitStack()
        self._lock = threading.Lock()

    @classmethod
    def around(
        cls, folder: Path, region: str, store: SqliteStore, checkpoints: SqliteCheckpoints
    ) -> Neighbourhood | None:
        """That of the region in a folder; None if it is alone."""
        deployment = Deployment.around(folder)
        return cls(deployment, region, store, checkpoints) if deployment else None

    def links(self) -> dict[str, Link]:
        """The ways that lead here, by the region where they begin."""
        with self._lock:
            plan = self._deployment.plan()
            for source, region in plan.regions.items():
                if source in self._links or source == self._region:
                    continue
                # what a retired one has left is brought as long as it is there
                if region.retired is None or (self._deployment.path / region.folder / "store.db").is_file():
                    self._links[source] = self._link_from(source)
            return dict(self._links)

    def carried_to(self) -> int:
        """Up to which of this region's changes every other one has taken them."""
        positions = [
            self._checkpoints_of(other).load(link_name(self._region, other))
            for other in self._deployment.plan().living()
            if other != self._region
        ]
        return min(positions, default=self._store.changes.head())

    def close(self) -> None:
        """Close the others' files."""
        self._opened.close()

    def _link_from(self, source: str) -> Link:
        def settings() -> LinkSettings:
            return self._deployment.plan().way(source, self._region)

        def open_source() -> _Opened:
            store = SqliteStore(self._deployment.folder_of(source) / "store.db", there_already=True)
            self._opened.callback(store.close)
            return _Opened(store, store.changes)

        return Link(source, self._region, open_source, self._store, self._checkpoints, settings)

    def _checkpoints_of(self, other: str) -> SqliteCheckpoints | _NotThere:
        if other not in self._others:
            try:
                opened = SqliteCheckpoints(self._deployment.folder_of(other) / "checkpoints.db", there_already=True)
            except Unavailable:
                return _NotThere()
            self._opened.callback(opened.close)
            self._others[other] = opened
        return self._others[other]


class _NotThere:
    """The checkpoints of a region that has never run: it has taken nothing yet."""

    def load(self, _name: str) -> int:
        """Nothing."""
        return 0
