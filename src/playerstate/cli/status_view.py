"""How a node is, for people on one screen, and as data."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from playerstate.cli import console
from playerstate.core.answers import Alarm, StageStats, Stats
from playerstate.core.model import Stage
from playerstate.metrics import samples_of
from playerstate.runtime.freshness import quantile

EVERY_S = 1.0
LATE_S = ("5", "60", "300")
"""By which ages, in seconds, the share of what is right is shown."""


def show_status(stats: Stats, *, as_json: bool) -> None:
    """How it is now."""
    if as_json:
        console.document(stats)
    else:
        console.show(_screen(stats))


def watch_status(ask: Callable[[], Stats], *, as_json: bool) -> None:
    """How it is, every second until Ctrl-C; at a terminal always in the same place."""
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as opened:
        live = None
        if sys.stdout.isatty() and not as_json:
            live = opened.enter_context(Live(_screen(ask()), auto_refresh=False, screen=True))
        while True:
            stats = ask()
            if live:
                live.update(_screen(stats), refresh=True)
            else:
                show_status(stats, as_json=as_json)
            time.sleep(EVERY_S)


def show_alarms(alarms: Sequence[Alarm], *, as_json: bool) -> None:
    """The alarms that fire."""
    if as_json:
        console.document({"alarms": alarms})
    elif alarms:
        console.show(_alarms(alarms))
    else:
        console.say("No alarm fires.")


def show_metrics(stats: Stats, *, as_json: bool) -> None:
    """The metrics, as Prometheus reads them or as a document."""
    if as_json:
        told = [
            {"name": s.metric.name, "type": s.metric.kind, "unit": s.metric.unit, "labels": s.labels, "value": s.value}
            for s in samples_of(stats)
        ]
        console.document({"region": stats.region, "metrics": told})
        return
    from playerstate.runtime.exposition import text_of

    for line in text_of(stats).splitlines():
        console.say(line)


def _screen(stats: Stats) -> RenderableType:
    beside = Table.grid(padding=(0, 2))
    beside.add_row(_stages(stats), _counts("outcome", stats.outcomes), _counts("rejected", stats.accept.rejected))
    firing: RenderableType = _alarms(stats.alarms) if stats.alarms else Text("No alarm fires.", style="green")
    return Group(Text(console.printable(_headline(stats)), style="bold"), firing, beside, _figures(stats))


def _headline(stats: Stats) -> str:
    up = _lasting(time.time() - stats.process.started_at / 1000)
    return f"{stats.region}: playerstate {stats.process.version}, up {up}"


def _alarms(alarms: Sequence[Alarm]) -> Table:
    now = time.time()
    rows = [[f"{a.severity}: {a.name}", _lasting(now - a.since / 1000), a.message, a.remedy] for a in alarms]
    return console.made_table(["alarm", "for", "what it says", "what to do"], rows)


def _stages(stats: Stats) -> Table:
    rows = [
        [f"{name} HALTED" if of.halted else name, f"{of.processed:,}", f"{of.lag:,}", f"{of.failures:,}"]
        for name, of in _in_order(stats)
    ]
    return console.made_table(["stage", "processed", "waiting", "failures"], rows)


def _in_order(stats: Stats) -> list[tuple[str, StageStats]]:
    """The stages as an update meets them."""
    order = get_args(Stage)
    return sorted(stats.stages.items(), key=lambda item: order.index(item[0]))


def _counts(what: str, counts: Mapping[str, int]) -> Table:
    rows = [[name, f"{n:,}"] for name, n in sorted(counts.items(), key=lambda item: -item[1])]
    return console.made_table([what, "updates"], rows or [["-", "-"]])


def _figures(stats: Stats) -> Table:
    checked, process = stats.verification, stats.process
    ages = [f"{q:.0%} <= {_ms(quantile(stats.freshness_ms, q))}" for q in (0.5, 0.99)]
    right = [
        f"{_share(checked.right_within_s[s], checked.changes_judged[s])} after {s} s"
        for s in LATE_S
        if checked.changes_judged.get(s)
    ]
    letters = ", ".join(f"{name} {n:,}" for name, n in stats.dead_letters_by_stage.items())
    ways = [f"{n:,} changes of {source}" for source, n in stats.links.items()]
    rows = [
        ["accepted to visible", ", ".join(ages)],
        ["right in the cache", ", ".join(right) or "-"],
        ["findings", f"{sum(checked.findings.values()):,}, of which {checked.open:,} open"],
        ["dead letters", f"{stats.dead_letters:,}{f' ({letters})' if letters else ''}"],
        ["rows written", f"{stats.rows_written:,}; conflicts resolved {stats.conflicts_resolved:,}"],
        ["on their way here", ", ".join(ways) or "-"],
        ["disk free", f"{process.disk_free_bytes / 1e9:,.1f} of {process.disk_bytes / 1e9:,.1f} GB"],
        ["clocks", f"senders ahead {stats.accept.senders_ahead_s:.1f} s, set by {process.clock_jump_s:.1f} s"],
        ["started again", f"cache {process.cache_restarts:,}, workers {process.worker_restarts:,}"],
    ]
    rows += [[f"last error of {name}", of.last_error] for name, of in _in_order(stats) if of.last_error]
    return console.made_table(["", ""], rows)


def _share(right: int, judged: int) -> str:
    """A share with its nines; 100 % is only said where it is so."""
    return "100 %" if right >= judged else f"{math.floor(right / judged * 1e6) / 1e4:.4f} %"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _lasting(seconds: float) -> str:
    whole = max(int(seconds), 0)
    for size, unit, smaller, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {part}"
    return f"{whole} s"
