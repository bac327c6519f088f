"""What the demo shows: at a terminal a live screen, otherwise a line now and then, and in the end a summary."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from playerstate.cli import console
from playerstate.core.answers import VerificationStats
from playerstate.workload.compare import PLACES
from playerstate.workload.demo import SAMPLE_KEYS, DemoOptions, DemoReport
from playerstate.workload.glimpse import Glimpse, Rates, rates

LINE_EVERY_S = 2.0
WINDOW = 8
"""Rates are those of the latest so many glimpses."""
FINDINGS_SHOWN = 10


class Lines:
    """A line on standard error now and then, for whoever reads a log."""

    def __init__(self) -> None:
        self._last: Glimpse | None = None

    def see(self, glimpse: Glimpse) -> None:
        """Show a glimpse, if it is time."""
        if self._last is None:
            self._last = glimpse
        elif glimpse.elapsed_s - self._last.elapsed_s >= LINE_EVERY_S:
            now = rates(self._last, glimpse)
            self._last = glimpse
            console.note(
                f"{glimpse.elapsed_s:5.1f} s: {glimpse.sent:,} sent, {now.applied_per_s:,.0f} applied/s, "
                f"{now.cached_per_s:,.0f} rows cached/s, freshness p50 {_ms(now.freshness_ms_p50)}, "
                f"p99 {_ms(now.freshness_ms_p99)}"
            )


class Screen:
    """The live screen."""

    def __init__(self, options: DemoOptions, live: Live) -> None:
        self._options = options
        self._live = live
        self._glimpses: deque[Glimpse] = deque(maxlen=WINDOW)

    def see(self, glimpse: Glimpse) -> None:
        """Show a glimpse."""
        self._glimpses.append(glimpse)
        layout = Layout()
        layout.split_column(Layout(name="top", size=4), Layout(name="middle", size=9), Layout(name="bottom"))
        layout["top"].update(self._headline(glimpse))
        layout["middle"].split_row(
            _panel("rates", _rates_table(rates(self._glimpses[0], glimpse))),
            _panel("outcomes", _numbers(glimpse.stats.outcomes | {"dead letters": glimpse.stats.dead_letters})),
            _panel("waiting at", _numbers({name: stage.lag for name, stage in glimpse.stats.stages.items()})),
        )
        layout["bottom"].update(_panel("some players, as the cache has them", _samples(glimpse)))
        self._live.update(layout)

    def _headline(self, glimpse: Glimpse) -> Panel:
        said = Text(f"{glimpse.sent:,} updates sent, and {glimpse.repeats:,} of them sent again to no effect")
        if glimpse.elapsed_s >= self._options.seconds:
            said.append("; now waiting until all has taken effect, and comparing")
        return Panel(Group(said, ProgressBar(self._options.seconds, min(glimpse.elapsed_s, self._options.seconds))))


@contextlib.contextmanager
def live_screen(options: DemoOptions) -> Iterator[Screen]:
    """A screen for as long as the context lasts; then the terminal is as it was."""
    with Live(console=Console(), screen=True, auto_refresh=True, refresh_per_second=8) as live:
        yield Screen(options, live)


def summary(report: DemoReport, kept: Path | None) -> None:
    """What the demo came to, on standard output."""
    outcomes = ", ".join(f"{name} {n:,}" for name, n in sorted(report.outcomes.items(), key=lambda item: -item[1]))
    times = (
        f"start {report.start_s:.1f} s, sending {report.sending_s:.1f} s, until all had taken effect "
        f"{report.drain_s:.1f} s, comparison {report.compare_s:.1f} s"
    )
    console.table(
        ["", ""],
        [
            ["updates sent", f"{report.sent:,}, and {report.repeats:,} of them once more"],
            ["outcomes", f"{outcomes}; dead letters {report.dead_letters}"],
            ["accepted to cached", f"p50 <= {_ms(report.freshness_ms_p50)}, p99 <= {_ms(report.freshness_ms_p99)}"],
            ["verified meanwhile", _verified(report.verification)],
            ["time", times],
        ],
        title="Demo" + (" (ended early)" if report.interrupted else ""),
    )
    rows = []
    for place in PLACES:
        tally = report.comparison.places[place]
        good = "yes" if tally.agrees else "NO"
        counted = (tally.compared, tally.missing, tally.doubled, tally.different)
        rows.append([place, *(f"{n:,}" for n in counted), good])
    console.table(["with what was sent", "compared", "missing", "doubled", "different", "agrees"], rows)
    for finding in report.comparison.findings[:FINDINGS_SHOWN]:
        console.say(str(finding))
    for problem in report.problems:
        console.say(problem)
    console.say("Everything is where it must be, once." if report.ok else "NOT everything is as it must be.")
    if kept is not None:
        console.say(f"The data is kept: playerstate get player-00001 --data {kept}")


def _verified(seen: VerificationStats) -> str:
    judged, right = seen.changes_judged.get("5", 0), seen.right_within_s.get("5", 0)
    compared, found = seen.keys_compared.get("store", 0), sum(seen.findings.values())
    return f"{right:,} of {judged:,} changes visible within 5 s, {compared:,} keys compared, {found} findings"


def _panel(title: str, table: Table) -> Panel:
    return Panel(table, title=title, title_align="left")


def _rates_table(now: Rates) -> Table:
    table = _grid()
    table.add_row("accepted", f"{now.accepted_per_s:,.0f}/s")
    table.add_row("applied", f"{now.applied_per_s:,.0f}/s")
    table.add_row("rows cached", f"{now.cached_per_s:,.0f}/s")
    table.add_row("freshness p50", f"<= {_ms(now.freshness_ms_p50)}")
    table.add_row("freshness p99", f"<= {_ms(now.freshness_ms_p99)}")
    return table


def _numbers(numbers: dict[str, int]) -> Table:
    table = _grid()
    for name, n in numbers.items():
        table.add_row(console.printable(name), f"{n:,}")
    return table


def _samples(glimpse: Glimpse) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in ("player", *SAMPLE_KEYS):
        table.add_column()
    table.add_row("", *(Text(key, style="bold") for key in SAMPLE_KEYS))
    for player_id, values in glimpse.samples.items():
        shown = [console.shortened(console.printable(str(values.get(key, ""))), 24) for key in SAMPLE_KEYS]
        table.add_row(Text(player_id, style="bold"), *map(Text, shown))
    return table


def _grid() -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column()
    table.add_column(justify="right")
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
