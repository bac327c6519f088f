"""A process that runs a crew for a node, beside the process that accepts and answers.

It works until its standard input ends, also when that is because the node was killed: then it finishes its step and
exits. A doorbell tells it that there is something to do. On standard output it reports, a line of JSON at a time.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from pathlib import Path

import msgspec
import structlog

from playerstate.core.answers import StageStats
from playerstate.core.model import Stage
from playerstate.core.schema import load_schema
from playerstate.errors import InvariantViolated, PlayerStateError, StartRefused, described
from playerstate.folder import SCHEMA_FILE
from playerstate.neighbourhood import Neighbourhood
from playerstate.runtime.collector import calm_collector
from playerstate.runtime.consumers import Report
from playerstate.runtime.crew import Crew, Role
from playerstate.runtime.doorbell import Doorbell
from playerstate.runtime.logs import LogStyle, configure_logging
from playerstate.runtime.retainer import Retainer
from playerstate.runtime.retention import rules_of_follow
from playerstate.settings import Settings, SettingsFile
from playerstate.wiring import FolderParts, consumers, doorbell_path, retainer

REPORT_EVERY_S = 0.1
HALTED = 70
"""The exit code of a worker that cannot run on this folder: starting it again would not help."""

log = structlog.get_logger(__name__)


def main(
    role: Role, folder: Path, region: str, cache_url: str, regional: str, log_style: str, in_force: str = "{}"
) -> None:
    """Run until standard input ends. `in_force` are the node's settings, for as long as the file cannot be read."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node decides when this process ends
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed must not get among the reports
    configure_logging(LogStyle.parse(log_style))
    try:
        parts = FolderParts.open(folder, cache_url, regional=bool(regional))
    except (InvariantViolated, StartRefused) as exc:
        name: Stage = "apply" if role is Role.APPLY else "project"
        halted = Report(alive=False, stages={name: StageStats(last_error=str(exc), halted=True)})
        os.write(reports, msgspec.json.encode(halted) + b"\n")
        sys.exit(HALTED)
    schema = load_schema((folder / SCHEMA_FILE).read_bytes())
    follow = Doorbell(doorbell_path(folder, Role.FOLLOW))
    own = follow if role is Role.FOLLOW else Doorbell(doorbell_path(folder, role))
    around = Neighbourhood(folder, region, parts.store, parts.checkpoints) if regional else None
    settings = SettingsFile(folder, otherwise=msgspec.json.decode(in_force, type=Settings))
    made = consumers(role, schema, region, parts, neighbourhood=around, settings=settings.current)
    rules = rules_of_follow(parts.audit) if role is Role.FOLLOW else []
    keeping = retainer(role, rules, parts, settings.current, around)
    crew = Crew(made, on_progress=follow.ring if role is Role.APPLY else _nothing)
    calm_collector()
    crew.start()
    keeping.start()
    log.debug("a worker has started", role=role)
    ended = threading.Event()
    reporter = threading.Thread(target=_report_until, args=(ended, crew, keeping, reports), daemon=True)
    reporter.start()
    _wake_until_end(crew, own.listen())
    keeping.stop()
    crew.stop()
    ended.set()
    reporter.join()
    if around:
        around.close()
    parts.close()


def _wake_until_end(crew: Crew, bell: int) -> None:
    while True:
        ready, _, _ = select.select([sys.stdin.fileno(), bell], [], [])
        if bell in ready:
            os.read(bell, 4096)
            crew.wake()
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096):
            return


def _report_until(ended: threading.Event, crew: Crew, keeping: Retainer, pipe: int) -> None:
    last = False
    while not last:
        last = ended.wait(REPORT_EVERY_S)
        try:
            report = crew.report()
            report.retention |= keeping.stats
            os.write(pipe, msgspec.json.encode(report) + b"\n")
        except BrokenPipeError:
            return
        except PlayerStateError as exc:
            log.warning("a report could not be made", error=described(exc))


def _nothing() -> None:
    """Nobody waits for what a follower has done."""


if __name__ == "__main__":
    main(Role(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
