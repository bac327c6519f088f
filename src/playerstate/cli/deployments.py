"""What the commands of `playerstate region` do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playerstate.backends.sqlite.store import SqliteStore
from playerstate.cli import console
from playerstate.client import find_node
from playerstate.core.version_vector import later
from playerstate.deployment import Deployment, Plan
from playerstate.errors import FolderInUse, InvariantViolated, RegionRefused, Unavailable
from playerstate.folder import DataFolder
from playerstate.regions import set_way

KEYS_AT_ONCE = 500


def deployment_at(data: Path) -> Deployment:
    """The deployment of a folder. Raises `Unavailable` if there is none."""
    deployment = Deployment(data)
    if not deployment.exists():
        raise Unavailable(f"There is no deployment {data}; `serve --regions` makes one, `--data` names another")
    return deployment


def show_regions(data: Path, *, as_json: bool) -> None:
    """Tell of every region."""
    deployment = deployment_at(data)
    plan = deployment.plan()
    told = [_about(deployment, plan, name) for name in plan.regions]
    if as_json:
        console.document({"regions": told, "every_way": plan.every_way, "ways": plan.ways})
        return
    rows = []
    for one in told:
        waiting = ", ".join(f"{source} {n:,}" for source, n in one["waiting"].items())
        rows.append([one["region"], one["state"], waiting or "-", _ways(plan, one["region"])])
    console.table(["region", "state", "changes that wait on their way here", "ways to it"], rows)


def add_region(data: Path, region: str, *, as_json: bool) -> None:
    """Add a region to a deployment."""
    deployment_at(data)
    Deployment.make(data, [region])
    if as_json:
        console.document({"added": region})
    else:
        console.say(f"{region} is added; the next `serve` starts it.")


def change_way(data: Path, one: str, other: str, *, as_json: bool, **changes: Any) -> None:
    """Change what the ways between two regions are like."""
    plan = set_way(deployment_at(data), one, other, **changes)
    settings = plan.way(one, other)
    if as_json:
        console.document({"between": [one, other], "way": settings})
    elif settings.cut:
        console.say(f"Nothing passes between {one} and {other}.")
    else:
        console.say(f"Changes between {one} and {other} take {settings.lag_ms} ms and up to {settings.jitter_ms} more.")


def retire_region(data: Path, gone: str, *, by: str, lost: bool, as_json: bool) -> None:
    """Retire a region, and tell how much of what it wrote the one that takes over has still to be brought."""
    deployment = deployment_at(data)
    folder, heir = deployment.folder_of(gone), deployment.folder_of(by)
    now = time.time_ns() // 1_000_000
    with _nobody_on(folder, gone):
        left = None if lost else _not_yet_brought(folder, heir, gone)
        deployment.change(lambda plan: plan.with_retired(gone, by=by, at=now, lost=left is None))
    if as_json:
        console.document({"retired": gone, "by": by, "rows_not_yet_brought": left})
        return
    console.say(f"{gone} is retired; {by} takes over its rights.")
    if left is None:
        console.say("What it had written and nobody has been brought is lost.")
    elif left:
        console.say(f"Rows that it wrote last, and that are brought from its folder before that: {left:,}.")


def _about(deployment: Deployment, plan: Plan, name: str) -> dict[str, Any]:
    region = plan.regions[name]
    if region.retired is not None:
        return {"region": name, "state": f"retired by {region.retired.by}", "waiting": {}}
    node = find_node(deployment.folder_of(name))
    if node is None:
        return {"region": name, "state": "stopped", "waiting": {}}
    with node:
        return {"region": name, "state": "running", "waiting": node.stats().links}


def _ways(plan: Plan, target: str) -> str:
    shown = []
    for source in plan.living():
        way = plan.way(source, target)
        if source != target and way != type(way)():
            shown.append(f"{source} cut" if way.cut else f"{source} {way.lag_ms}+{way.jitter_ms} ms")
    return ", ".join(shown) or "-"


def _not_yet_brought(source: Path, target: Path, region: str) -> int | None:
    """How many of a region's own rows are later in its store than in another's; None if its store cannot be read."""
    with contextlib.ExitStack() as opened:

        def store_in(folder: Path) -> SqliteStore | None:
            try:
                store = SqliteStore(folder / "store.db", there_already=True)
            except Unavailable:
                return None
            opened.callback(store.close)
            return store

        try:
            there, here, left, after = store_in(source), store_in(target), 0, None
            while there and (keys := there.keys(after, KEYS_AT_ONCE)):
                after = keys[-1]
                known = here.versions(keys, region) if here else {}
                versions = there.versions(keys, region)
                left += sum(later(version, than=known.get(key, "")) for key, version in versions.items())
        except InvariantViolated as exc:
            raise RegionRefused(f"{exc}. If nothing can be saved of it, retire it with --lost") from exc
    return left if there else None


@contextlib.contextmanager
def _nobody_on(folder: Path, region: str) -> Iterator[None]:
    """Hold the folder of a region that is gone, so that no node can run on it meanwhile. There need be none."""
    if not (folder / "folder.json").exists():
        yield
        return
    try:
        held = DataFolder(folder)
    except FolderInUse as exc:
        raise RegionRefused(f"{region} runs. Only a region that is gone can be retired; stop it first ({exc})") from exc
    try:
        yield
    finally:
        held.close()
