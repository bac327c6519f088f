"""Runs a worker until a signal ends it, or a broken promise does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import SimpleQueue

import structlog

import playerstate
from playerstate.aws import settings as s
from playerstate.aws.shared_meter import SharedMeter
from playerstate.aws.state import wiring_at
from playerstate.aws.workers import WorkerStage, make_worker
from playerstate.backends.aws.emf import Emf
from playerstate.cli import console
from playerstate.errors import InvariantViolated
from playerstate.runtime.collector import calm_collector

log = structlog.get_logger(__name__)


def work(stage: WorkerStage, url: str, signals: SimpleQueue[int], *, lease_s: float, as_json: bool) -> bool:
    """Run the worker of a stage until a signal comes. False, with the reason told, if a promise was broken.

    Raises `StartRefused` and whatever else keeps it from starting.
    """
    wiring = wiring_at(url)
    emf = Emf(wiring.environment.text(s.DEPLOYMENT), sys.stdout, wiring.clock)
    with SharedMeter(emf) as meter:
        worker = make_worker(stage, wiring, meter, lease_s=lease_s)

        def stop() -> None:
            told = signals.get()
            log.info("stopping", signal=signal.Signals(told).name)
            worker.stop()

        threading.Thread(target=stop, name="playerstate-signals", daemon=True).start()
        calm_collector()
        log.info("working", stage=stage, region=wiring.region, pid=os.getpid(), version=playerstate.__version__)
        try:
            worker.run()
        except InvariantViolated as exc:
            console.report(exc, as_json=as_json)
            return False
    log.info("stopped")
    return True
