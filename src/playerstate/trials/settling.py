"""Waiting for regions in processes of their own: until all that was accepted has taken effect everywhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints
from playerstate.client import RemoteNode
from playerstate.deployment import Deployment
from playerstate.errors import NotNow
from playerstate.runtime.replication import link_name

DRAIN_STEP_S = 1.0
POLL_S = 0.05


def settle(deployment: Deployment, nodes: Mapping[str, RemoteNode], *, timeout_s: float) -> bool:
    """Wait until nothing moves any more; False if that takes longer."""
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as opened:
        stores: dict[str, SqliteStore] = {}
        checkpoints: dict[str, SqliteCheckpoints] = {}
        for region in nodes:
            folder = deployment.folder_of(region)
            stores[region] = SqliteStore(folder / "store.db", there_already=True)
            opened.callback(stores[region].close)
            checkpoints[region] = SqliteCheckpoints(folder / "checkpoints.db", there_already=True)
            opened.callback(checkpoints[region].close)
        while time.monotonic() < deadline:
            before = {region: store.changes.head() for region, store in stores.items()}
            arrived = _drained(nodes) and _carried(before, checkpoints)
            if arrived and before == {region: store.changes.head() for region, store in stores.items()}:
                return True
            time.sleep(POLL_S)
    return False


def lagging(nodes: Mapping[str, RemoteNode]) -> list[str]:
    """What still waits, and what each stage said last, for those who wait in vain."""
    told = []
    for region, node in nodes.items():
        try:
            stats = node.stats()
        except NotNow as exc:
            told.append(f"{region}: {exc}")
            continue
        told += [
            f"{region}: {name} has {stage.lag} before it; {stage.failures} failures, the last: {stage.last_error!r}"
            for name, stage in stats.stages.items()
            if stage.lag
        ]
    return told


def _drained(nodes: Mapping[str, RemoteNode]) -> bool:
    try:
        return all(node.drain(timeout_s=DRAIN_STEP_S) for node in nodes.values())
    except NotNow:
        return False


def _carried(heads: Mapping[str, int], checkpoints: Mapping[str, SqliteCheckpoints]) -> bool:
    return all(
        taken.load(link_name(source, target)) >= head
        for target, taken in checkpoints.items()
        for source, head in heads.items()
        if source != target
    )
