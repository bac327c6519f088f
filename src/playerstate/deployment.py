"""A deployment of several regions on one machine: a folder with a data folder for each, and what lies between them.

`deployment.json` says which regions there are and were, and what the ways between them are like. It is the only thing
that they share; on AWS each region knows the others from the table. Everybody reads it anew when it has changed, so the
ways can be changed while the nodes run.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from playerstate.core.retirement import heir_of
from playerstate.errors import RegionRefused, StartRefused, Unavailable
from playerstate.folder import check_region_name, write_file
from playerstate.runtime.clock import SystemClock
from playerstate.runtime.replication import LinkSettings

FORMAT_VERSION = 1
FILE = "deployment.json"

log = structlog.get_logger(__name__)


class Retirement(msgspec.Struct, frozen=True):
    """A region is gone for good: since when (ms), and which one took over its rights.

    `lost` says that what it had last written cannot be read any more, and is not waited for.
    """

    at: int
    by: str
    lost: bool = False


class Region(msgspec.Struct, frozen=True):
    """One region, by its id with its incarnation.

    `marker` is that of the folder in which it has run: in another one it would hand out its dots a second time.
    `clock_skew_ms` is for trials: how wrong its clock is.
    """

    folder: str
    retired: Retirement | None = None
    marker: str = ""
    clock_skew_ms: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What `deployment.json` says. `ways` are those that differ from `every_way`, by `source>target`."""

    format: int
    regions: dict[str, Region]
    every_way: LinkSettings = LinkSettings()
    ways: dict[str, LinkSettings] = {}

    def way(self, source: str, target: str) -> LinkSettings:
        """What the way from one region to another is like."""
        return self.ways.get(f"{source}>{target}", self.every_way)

    def living(self) -> list[str]:
        """The regions that are not retired."""
        return [name for name, region in self.regions.items() if region.retired is None]

    def retired(self) -> frozenset[str]:
        """Those that are."""
        return frozenset(self.regions) - frozenset(self.living())

    def of_folder(self, folder: str) -> str | None:
        """The living region whose data folder has a name."""
        return next((name for name in self.living() if self.regions[name].folder == folder), None)

    def retirements(self) -> dict[str, str]:
        """Retired region -> the living one that holds its rights, by way of others that were retired since."""
        by = {name: region.retired.by for name, region in self.regions.items() if region.retired is not None}
        return {gone: heir_of(gone, by) for gone in by}

    def with_retired(self, gone: str, *, by: str, at: int, lost: bool = False) -> Plan:
        """The plan without a region, whose rights another one takes over.

        Raises `RegionRefused` if that one is retired itself. Retiring a region again by the same one changes nothing,
        but that it may be `lost` now.
        """
        region = self.regions[gone]
        if region.retired is not None and region.retired.by == by:
            retired = msgspec.structs.replace(region.retired, lost=lost or region.retired.lost)
            return self.with_region(gone, msgspec.structs.replace(region, retired=retired))
        if region.retired is not None:
            raise RegionRefused(f"{gone} is retired already, and {region.retired.by} has taken over its rights")
        if by == gone or by not in self.living():
            raise RegionRefused(f"{by} cannot take over the rights of {gone}")
        return self.with_region(gone, msgspec.structs.replace(region, retired=Retirement(at, by, lost)))

    def with_successor(self, predecessor: str, name: str, *, marker: str, at: int) -> Plan:
        """The plan with a region under a new name, in the folder where it was under another."""
        region = self.regions[predecessor]
        gone = msgspec.structs.replace(region, folder="", retired=Retirement(at, name, lost=True))
        return self.with_region(predecessor, gone).with_region(name, Region(region.folder, marker=marker))

    def without_unborn(self, names: Collection[str]) -> Plan:
        """The plan without those of the regions that have never run."""
        kept = {name: region for name, region in self.regions.items() if region.marker or name not in names}
        return msgspec.structs.replace(self, regions=kept)

    def with_way(self, source: str, target: str, settings: LinkSettings) -> Plan:
        """The plan with another way between two regions, in one direction."""
        return msgspec.structs.replace(self, ways={**self.ways, f"{source}>{target}": settings})

    def with_marker(self, name: str, marker: str) -> Plan:
        """The plan with the folder in which a region has run."""
        return self.with_region(name, msgspec.structs.replace(self.regions[name], marker=marker))

    def with_region(self, name: str, region: Region) -> Plan:
        """The plan with a region that is new, or changed."""
        return msgspec.structs.replace(self, regions={**self.regions, name: region})


class Deployment:
    """The folder of a deployment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path / FILE
        self._seen: tuple[int, int, int] | None = None
        self._plan: Plan | None = None

    @classmethod
    def make(cls, path: Path, regions: Iterable[str]) -> Deployment:
        """A deployment of so many regions; those that are new to one that is there already are added.

        Raises `StartRefused` if the folder is a single region's, or a name cannot be one.
        """
        deployment = cls(path)
        names = list(regions)
        for name in names:
            check_region_name(name)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise StartRefused(f"The folder {path} cannot be used: {exc.strerror}") from exc
        if (path / "folder.json").exists():
            raise StartRefused(f"{path} is the data folder of one region; several need a folder of their own")
        with deployment._locked():
            plan = deployment.plan() if deployment.exists() else Plan(FORMAT_VERSION, {})
            for name in names:
                if name in plan.retired():
                    raise RegionRefused(f"The region {name} is retired; its successor needs another name")
                if name not in plan.regions and plan.of_folder(name) is None:
                    plan = plan.with_region(name, Region(name))
            deployment._write(plan)
        return deployment

    @classmethod
    def around(cls, folder: Path) -> Deployment | None:
        """The deployment that a data folder belongs to, if it belongs to one."""
        deployment = cls(folder.absolute().parent)
        return deployment if deployment.exists() else None

    def exists(self) -> bool:
        """Whether there is one."""
        return self._file.is_file()

    def plan(self) -> Plan:
        """What it says now, or said last, where it cannot be read now. Raises `StartRefused` if it never could be."""
        try:
            about = self._file.stat()
            seen = (about.st_mtime_ns, about.st_ino, about.st_size)
            if seen != self._seen or self._plan is None:
                self._plan, self._seen = self._read(), seen
        except (OSError, msgspec.DecodeError) as exc:
            if self._plan is None:
                raise StartRefused(f"{self._file} cannot be read: {exc}") from exc
            self._seen = None
            log.warning("the deployment's file cannot be read; what it said last holds", error=str(exc))
        return self._plan

    def change(self, change: Callable[[Plan], Plan]) -> Plan:
        """Change what it says, one at a time."""
        with self._locked():
            plan = change(self.plan())
            self._write(plan)
        return plan

    def folder_of(self, region: str) -> Path:
        """A region's data folder. Raises `Unavailable` if there is no such region."""
        regions = self.plan().regions
        if region not in regions:
            raise Unavailable(f"There is no region {region!r} here; there are {', '.join(regions)}")
        return self.path / regions[region].folder

    def clock_of(self, region: str) -> SystemClock:
        """A region's clock."""

        def skew_ms() -> int:
            known = self.plan().regions.get(region)
            return known.clock_skew_ms if known else 0

        return SystemClock(skew_ms)

    def _read(self) -> Plan:
        plan = msgspec.json.decode(self._file.read_bytes(), type=Plan)
        if plan.format > FORMAT_VERSION:
            raise StartRefused(f"{self._file} was written by a newer version of playerstate")
        return plan

    def _write(self, plan: Plan) -> None:
        write_file(self._file, msgspec.json.format(msgspec.json.encode(plan), indent=2))
        self._plan, self._seen = None, None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.path / "deployment.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._plan = None  # what is changed must be what is there
            yield
        finally:
            os.close(lock)
