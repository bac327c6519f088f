"""Runs the demo, of one node or of several regions, in a folder, with the view that fits where the output goes."""

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
from playerstate.cli.progress import Advance, progress
from playerstate.cli.story_view import StoryView
from playerstate.cli.story_view import summary as summarize_regions
from playerstate.service import Parts
from playerstate.workload.demo import DemoOptions, run_demo
from playerstate.workload.glimpse import Glimpse
from playerstate.workload.reconcile import RegionRead
from playerstate.workload.regional_demo import RegionalOptions, run_regional_demo


def run(
    options: DemoOptions,
    data: Path | None,
    *,
    as_json: bool,
    before_compare: Callable[[Parts], None] = lambda _: None,
) -> ExitCode:
    """Run and show the demo. `before_compare` is for tests, which plant what must be found."""
    configure_logging(LogLevel.WARNING, as_json=as_json)
    if not _is_free(data):
        return ExitCode.USAGE
    with _sigterm_interrupts(), _folder(data) as folder, _view(options, as_json=as_json) as see:
        report = run_demo(folder, options, see=see, before_compare=before_compare)
    if as_json:
        console.document(report)
    else:
        summary(report, data)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


def run_regions(
    options: RegionalOptions,
    data: Path | None,
    *,
    as_json: bool,
    before_check: Callable[[dict[str, RegionRead]], None] = lambda _: None,
) -> ExitCode:
    """Run and show the demo of several regions. `before_check` is for tests, which plant what must be found."""
    configure_logging(LogLevel.WARNING, as_json=as_json)
    if not _is_free(data):
        return ExitCode.USAGE
    tell = (lambda _: None) if as_json else StoryView().tell
    expected = round(options.seconds * options.rate_per_s)
    with _sigterm_interrupts(), _folder(data) as folder, contextlib.ExitStack() as bars:
        advance: Advance | None = None

        def see(sent: int) -> None:
            nonlocal advance
            if advance is None:  # the story is over: it and a bar would write over each other
                advance, _ = bars.enter_context(progress("a load over all regions", as_json=as_json))
            advance(sent, expected, sent)

        report = run_regional_demo(folder, options, tell=tell, see=see, before_check=before_check)
    if as_json:
        console.document(report)
    else:
        summarize_regions(report, data)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


def _is_free(data: Path | None) -> bool:
    if data is not None and data.exists() and any(data.iterdir()):
        console.note(f"{data} is not empty; the demo needs an empty folder, because it compares all that is there")
        return False
    return True


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
