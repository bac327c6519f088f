"""Runs a node until a signal ends it, or one of its stages has halted."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

import playerstate
from playerstate.cli import console
from playerstate.errors import InvariantViolated, PlayerStateError
from playerstate.folder import read_schema_file
from playerstate.node import Node, Options
from playerstate.runtime.collector import calm_collector

LOOK_EVERY_S = 0.25

log = structlog.get_logger(__name__)


def run(data: Path, schema: Path | None, options: Options, signals: SimpleQueue[int], *, as_json: bool) -> bool:
    """Run a node until a signal comes. False, with the reason told, if it could not start or had to stop by itself."""
    try:
        schema_text = read_schema_file(schema) if schema else None
        with Node(data, schema_text=schema_text, options=options) as node:
            calm_collector()
            _announce(node, data, as_json=as_json)
            while (told := _next(signals)) is None:
                if not node.alive:
                    raise InvariantViolated(_what_halted(node))
            log.info("stopping", signal=signal.Signals(told).name)
    except PlayerStateError as exc:
        console.report(exc, as_json=as_json)
        return False
    log.info("stopped")
    return True


def _next(signals: SimpleQueue[int]) -> int | None:
    try:
        return signals.get(timeout=LOOK_EVERY_S)
    except Empty:
        return None


def _announce(node: Node, data: Path, *, as_json: bool) -> None:
    where = str(data.absolute())
    log.info("serving", data=where, region=node.region, pid=os.getpid(), version=playerstate.__version__)
    if as_json:
        console.document({"serving": where, "region": node.region, "pid": os.getpid(), "game": node.schema.game.name})
    else:
        console.say(f"Serving {where}: region {node.region}, process {os.getpid()}. Ctrl-C stops it.")


def _what_halted(node: Node) -> str:
    problems = [f"{name}: {stage.last_error}" for name, stage in node.stats().stages.items() if stage.last_error]
    return f"A stage has halted, so the node stops. {'; '.join(problems)}"
