"""Runs the demo in a folder, with the view that fits where the output goes."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from playerstate.cli import console
from playerstate.cli.common import ExitCode
from playerstate.cli.demo_view import Lines, live_screen, summary
from playerstate.cli.logs import LogLevel, configure_logging
from playerstate.service import Parts
from playerstate.workload.demo import DemoOptions, run_demo
from playerstate.workload.glimpse import Glimpse


def run(
    options: DemoOptions,
    data: Path | None,
    *,
    as_json: bool,
    before_compare: Callable[[Parts], None] = lambda _: None,
) -> ExitCode:
    """Run and show the demo. `before_compare` is for tests, which plant what must be found."""
    configure_logging(LogLevel.WARNING, as_json=as_json)
    if data is not None and data.exists() and any(data.iterdir()):
        console.note(f"{data} is not empty; the demo needs an empty folder, because it compares all that is there")
        return ExitCode.USAGE
    with _sigterm_interrupts(), _folder(data) as folder, _view(options, as_json=as_json) as see:
        report = run_demo(folder, options, see=see, before_compare=before_compare)
    if as_json:
        console.document(report)
    else:
        summary(report, data)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="playerstate-demo-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _view(options: DemoOptions, *, as_json: bool) -> Iterator[Callable[[Glimpse], None]]:
    if sys.stdout.isatty() and not as_json:
        with live_screen(options) as screen:
            yield screen.see
    else:
        yield Lines().see


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Being told to end is the same as Ctrl-C: the sending ends early, and the summary comes."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
