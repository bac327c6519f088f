"""Runs trials on real processes in a folder, tells of every round, and keeps the folder where something was wrong."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import msgspec

from playerstate.cli import console
from playerstate.cli.common import ENDING_SIGNALS, ExitCode
from playerstate.trials.processes import check_platform
from playerstate.trials.report import RoundReport, TrialOptions, TrialReport
from playerstate.trials.run import Trials, run_trials

REPORT_FILE = "chaos.json"
SHOWN_MAX = 20
"""How many violations are shown; all are in the report."""


def run(
    data: Path | None,
    options: TrialOptions,
    *,
    as_json: bool,
    before_reckoning: Callable[[Trials], None] = lambda _: None,
) -> ExitCode:
    """Run and show trials. `before_reckoning` is for tests, which plant what must be found.

    Raises `StartRefused` if they cannot be run here.
    """
    if data is not None and data.exists() and any(data.iterdir()):
        console.note(f"{data} is not empty; the trials need an empty folder, for they break what is in it")
        return ExitCode.USAGE
    check_platform()
    folder = data or Path(tempfile.mkdtemp(prefix="playerstate-chaos-"))
    see = _quiet if as_json else _see
    with _one_interrupt():
        report = run_trials(folder, options, see=see, before_reckoning=before_reckoning)
    kept = data is not None or not report.ok
    if kept:
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        shutil.rmtree(folder)
    if as_json:
        console.document({"ok": report.ok, **msgspec.structs.asdict(report), "folder": str(folder) if kept else None})
    else:
        _summary(report, folder if kept else None)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


def _quiet(_round: RoundReport) -> None:
    """Output is for programs."""


def _see(done: RoundReport) -> None:
    settled = "did not settle" if done.settled_s is None else f"settled in {done.settled_s:.1f} s"
    outcome = f"{len(done.violations):,} violations" if done.violations else "as promised"
    console.say(
        f"round {done.number}: {done.acknowledged:,} acknowledged, {done.unknown:,} unknown and {done.refused:,} "
        f"refused on the way, {settled}: {outcome} ({'; '.join(done.faults)})"
    )


def _summary(report: TrialReport, folder: Path | None) -> None:
    for violation in report.violations[:SHOWN_MAX]:
        console.say(f"  {violation}")
    if len(report.violations) > SHOWN_MAX:
        console.say(f"  and {len(report.violations) - SHOWN_MAX:,} more in {REPORT_FILE}")
    updates = sum(done.acknowledged for done in report.rounds)
    unknown = sum(done.unknown for done in report.rounds)
    ended = "interrupted after " if report.interrupted else ""
    console.say(
        f"{ended}{len(report.rounds):,} rounds in {report.regions} regions from seed {report.seed}, "
        f"{updates:,} updates acknowledged, {unknown:,} unknown on the way, {report.seconds:.0f} s: "
        f"{len(report.violations):,} violations"
    )
    if folder is not None:
        console.say(f"kept: {folder}")


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the trials; others do not keep them from ending what they have started."""
    before = {number: signal.signal(number, _interrupt) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
