"""The other regions of a deployment, as one of them meets them: their stores to read, and the ways that lead here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from playerstate.backends.sqlite.audit import SqliteAudit
from playerstate.backends.sqlite.store import SqliteChanges, SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints
from playerstate.deployment import Deployment, Region
from playerstate.errors import PlayerStateError, StartRefused, Unavailable
from playerstate.folder import read_about
from playerstate.ports.clock import Clock
from playerstate.ports.replication import Copies
from playerstate.runtime.clock import SystemClock
from playerstate.runtime.replication import Link, LinkSettings, link_name
from playerstate.stages.history import Others

SET_ASIDE = "restored from a backup since; what it recorded after that was set aside with its folder"
RESTORED_FILE = "restored.json"
"""It says that the folder comes from a backup, until what the region did since then is known."""


def is_regional(folder: Path) -> bool:
    """Whether rows of other regions may stand beside those of the region in a folder."""
    return Deployment.around(folder) is not None or bool(read_about(folder).predecessors)


class _Copies(NamedTuple):
    """`Copies` in another region's folder."""

    region: str
    owner: str
    store: SqliteStore
    checkpoints: SqliteCheckpoints | _NotThere

    def passed(self) -> int:
        """How far the way to that region has come."""
        return self.checkpoints.load(link_name(self.owner, self.region))

    def load(self, player_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The copies of the owner's rows."""
        return [
            {
                key.state_key: rows[self.owner]
                for key, rows in self.store.load_player(player_id).items()
                if self.owner in rows
            }
            for player_id in player_ids
        ]


class _Opened(NamedTuple):
    """A `Source` in a folder."""

    store: SqliteStore
    changes: SqliteChanges


class Neighbourhood:
    """What one region needs of the others, which come and go while it runs. It reads their files and writes none.

    One that was restored has a past too: regions whose names it had, and whose rights are its own now.
    """

    def __init__(
        self,
        folder: Path,
        region: str,
        store: SqliteStore,
        checkpoints: SqliteCheckpoints,
    ) -> None:
        deployment = Deployment.around(folder)
        self.predecessors = read_about(folder).predecessors
        if deployment is None and not self.predecessors:
            raise StartRefused(f"the deployment around {folder} cannot be read")
        self.clock: Clock = deployment.clock_of(region) if deployment else SystemClock()
        self._folder = folder
        self._region = region
        self._deployment = deployment
        self._store = store
        self._checkpoints = checkpoints
        self._past = dict.fromkeys(self.predecessors, region)
        self._ready = False
        self._links: dict[str, Link] = {}
        self._others: dict[str, SqliteCheckpoints] = {}
        self._stores: dict[str, SqliteStore] = {}
        self._audits: dict[str, SqliteAudit] = {}
        self._opened = contextlib.ExitStack()
        self._lock = threading.Lock()

    def links(self) -> dict[str, Link]:
        """The ways that lead here, by the region where they begin."""
        with self._lock:
            sources = self._sources()
            for source in sources - self._links.keys():
                self._links[source] = self._link_from(source)
            self._links = {source: link for source, link in self._links.items() if source in sources}
            return dict(self._links)

    def retirements(self) -> Mapping[str, str]:
        """Regions that are gone, and the heir of each."""
        return self._deployment.plan().retirements() if self._deployment else self._past

    def settled(self) -> Mapping[str, str]:
        """Those of the retirements that this region may act upon: all that can be known of who is gone is here.

        Before that, rights that it had spent or given away would be taken over as if it still held them.
        """
        if self.waits_for():
            return {}
        links = self.links()
        return {gone: heir for gone, heir in self.retirements().items() if gone not in links or links[gone].at_end}

    def audits(self) -> Others:
        """The audits of the other regions, of those that are retired too; and which of them cannot be read."""
        if self._deployment is None:
            return Others({}, dict.fromkeys(self.predecessors, SET_ASIDE))
        root, audits, not_read = self._deployment.path, {}, {}
        for name, region in self._deployment.plan().regions.items():
            if name == self._region or not region.marker:
                continue  # one that has never run has recorded nothing
            try:
                if not region.folder:
                    raise Unavailable(SET_ASIDE)
                audits[name] = self._audit_of(name, root / region.folder / "audit.db")
            except PlayerStateError as exc:
                not_read[name] = str(exc)
        return Others(audits, not_read)

    def carried_to(self) -> int:
        """Up to which of this region's changes every other one has taken them."""
        living = self._deployment.plan().living() if self._deployment else []
        positions = [
            self._checkpoints_of(other).load(link_name(self._region, other))
            for other in living
            if other != self._region
        ]
        return min(positions, default=self._store.changes.head())

    def copies(self) -> list[Copies]:
        """The other regions' stores, as far as they can be reached from here."""
        return [copies for other in self._others_living() if (copies := self._copies_in(other))]

    def cut_off(self) -> list[str]:
        """The other regions that cannot be reached from here: a way is cut, or there is no store that can be read."""
        return [other for other in self._others_living() if self._copies_in(other) is None]

    def _copies_in(self, other: str) -> Copies | None:
        if self._is_cut(other):
            return None
        try:
            return _Copies(other, self._region, self._store_of(other), self._checkpoints_of(other))
        except PlayerStateError:  # never run, being moved, damaged, of another format: no reason to stop here
            return None

    def _others_living(self) -> list[str]:
        return [name for name in self._deployment.plan().living() if name != self._region] if self._deployment else []

    def _is_cut(self, other: str) -> bool:
        if self._deployment is None:
            return False
        plan = self._deployment.plan()
        return plan.way(self._region, other).cut or plan.way(other, self._region).cut

    def _store_of(self, other: str) -> SqliteStore:
        with self._lock:
            if other not in self._stores:
                store = SqliteStore(self._folder_of(other) / "store.db", there_already=True)
                self._opened.callback(store.close)
                self._stores[other] = store
            return self._stores[other]

    def waits_for(self) -> str:
        """Why the region may not take a step, if it may not.

        One that was retired never may again. One that was restored first finds out what it had done.

        Updates lie on its stream that it may have applied after the backup was made. What came of them stands in the
        rows that other regions have, and those have to be here first.
        """
        if self._deployment and self._region in (retired := self._deployment.plan().retirements()):
            return f"retired; {retired[self._region]} has taken over its rights"
        if not self._ready:
            restored = self._folder / RESTORED_FILE
            if restored.exists():
                missing = [name for name, link in self.links().items() if not link.copied and self._has_run(name)]
                if missing:
                    return f"restored, and waiting for the rows of {', '.join(missing)}"
                restored.unlink(missing_ok=True)
            self._ready = True
        return ""

    def close(self) -> None:
        """Close the others' files."""
        self._opened.close()

    def _audit_of(self, region: str, path: Path) -> SqliteAudit:
        if not path.is_file():  # also one that was opened, and is gone
            raise Unavailable(f"there is no {path}")
        with self._lock:
            if region not in self._audits:
                self._audits[region] = SqliteAudit(path, there_already=True)
                self._opened.callback(self._audits[region].close)
            return self._audits[region]

    def _has_run(self, source: str) -> bool:
        return (self._folder_of(source) / "store.db").is_file()

    def _sources(self) -> set[str]:
        """The other regions; of those that are retired the ones whose rows can still be read."""
        if self._deployment is None:
            return set()
        regions, root = self._deployment.plan().regions, self._deployment.path
        return {
            source
            for source, region in regions.items()
            if source != self._region and (region.retired is None or _can_be_read(root, region))
        }

    def _link_from(self, source: str) -> Link:
        def settings() -> LinkSettings:
            plan = self._deployment.plan() if self._deployment else None
            if plan is None or plan.regions[source].retired is not None:
                return LinkSettings()  # a folder is read, and no network is in between
            return plan.way(source, self._region)

        def open_source() -> _Opened:
            store = SqliteStore(self._folder_of(source) / "store.db", there_already=True)
            self._opened.callback(store.close)
            return _Opened(store, store.changes)

        return Link(source, self._region, open_source, self._store, self._checkpoints, settings)

    def _folder_of(self, other: str) -> Path:
        if self._deployment is None:
            raise Unavailable(f"there is no other region {other}")
        return self._deployment.folder_of(other)

    def _checkpoints_of(self, other: str) -> SqliteCheckpoints | _NotThere:
        if other not in self._others:
            try:
                opened = SqliteCheckpoints(self._folder_of(other) / "checkpoints.db", there_already=True)
            except Unavailable:
                return _NotThere()
            self._opened.callback(opened.close)
            self._others[other] = opened
        return self._others[other]


def _can_be_read(root: Path, region: Region) -> bool:
    """Whether there is still something to be brought from a region that is gone."""
    lost = region.retired is not None and region.retired.lost
    return not lost and bool(region.folder) and (root / region.folder / "store.db").is_file()


class _NotThere:
    """The checkpoints of a region that has never run: it has taken nothing yet."""

    def load(self, _name: str) -> int:
        """Nothing."""
        return 0
