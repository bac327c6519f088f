"""Runs a node until a signal ends it, or one of its stages has halted."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

import playerstate
from playerstate.cli import console
from playerstate.deployment import Deployment
from playerstate.errors import FolderInUse, InvariantViolated, PlayerStateError
from playerstate.folder import read_schema_file
from playerstate.node import Node, Options
from playerstate.regions import Regions
from playerstate.runtime.collector import calm_collector
from playerstate.runtime.metrics_server import MetricsServer

LOOK_EVERY_S = 0.25
FOLDER_WAIT_S = 5.0
"""How long the folder may be held by others, such as a `send` that has opened it for itself."""
FOLDER_TRY_EVERY_S = 0.1

log = structlog.get_logger(__name__)


def run(
    data: Path,
    schema: Path | None,
    regions: Sequence[str],
    options: Options,
    signals: SimpleQueue[int],
    *,
    as_json: bool,
    metrics_port: int | None = None,
) -> bool:
    """Run nodes until a signal comes. False, with the reason told, if one could not start or had to stop by itself.

    With a `metrics_port` their metrics are served there, or, if it is 0, on a free port.
    """
    try:
        schema_text = read_schema_file(schema) if schema else None

        def start() -> Node | Regions:
            if regions or Deployment(data).exists():
                return Regions(data, regions, schema_text=schema_text, options=options)
            return Node(data, schema_text=schema_text, options=options)

        started = _start(start, signals)
        if started is None:
            return True
        with started, contextlib.ExitStack() as beside:
            nodes = list(started.nodes.values()) if isinstance(started, Regions) else [started]
            metrics = beside.enter_context(MetricsServer(metrics_port, nodes)) if metrics_port is not None else None
            calm_collector()
            for node in nodes:
                where = started.deployment.folder_of(node.region) if isinstance(started, Regions) else data
                _announce(node, where, metrics.url if metrics else None, as_json=as_json)
            while (told := _next(signals)) is None:
                for node in nodes:
                    if not node.alive:
                        raise InvariantViolated(_what_halted(node))
            log.info("stopping", signal=signal.Signals(told).name)
    except PlayerStateError as exc:
        console.report(exc, as_json=as_json)
        return False
    log.info("stopped")
    return True


def _start(start: Callable[[], Node | Regions], signals: SimpleQueue[int]) -> Node | Regions | None:
    """What `start` starts, once its folder is free; None if a signal comes before that.

    Raises `FolderInUse` if the folder is not let go in time.
    """
    deadline = time.monotonic() + FOLDER_WAIT_S
    told = False
    while True:
        try:
            return start()
        except FolderInUse as exc:
            if time.monotonic() >= deadline:
                raise
            if not told:
                log.info("waiting for the folder", reason=str(exc))
                told = True
        if _next(signals, wait_s=FOLDER_TRY_EVERY_S) is not None:
            return None


def _next(signals: SimpleQueue[int], *, wait_s: float = LOOK_EVERY_S) -> int | None:
    try:
        return signals.get(timeout=wait_s)
    except Empty:
        return None


def _announce(node: Node, data: Path, metrics: str | None, *, as_json: bool) -> None:
    where = str(data.absolute())
    log.info("serving", data=where, region=node.region, pid=os.getpid(), version=playerstate.__version__)
    if as_json:
        told = {"serving": where, "region": node.region, "pid": os.getpid(), "game": node.schema.game.name}
        console.document(told | ({"metrics": f"{metrics}/metrics"} if metrics else {}))
    else:
        beside = f" Metrics: {metrics}/metrics." if metrics else ""
        console.say(f"Serving {where}: region {node.region}, process {os.getpid()}.{beside} Ctrl-C stops it.")


def _what_halted(node: Node) -> str:
    if node.retired:
        return f"The region {node.region} has been retired, so its node stops."
    problems = [f"{name}: {stage.last_error}" for name, stage in node.stats().stages.items() if stage.last_error]
    if not problems:
        return "What restarts parts and judges alarms has died, so the node stops; the log says why."
    return f"A stage has halted, so the node stops. {'; '.join(problems)}"
