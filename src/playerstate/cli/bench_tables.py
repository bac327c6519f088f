"""The figures of the bench, for people, with what they mean."""

from __future__ import annotations

from playerstate.cli import console
from playerstate.workload.bench import BenchReport
from playerstate.workload.reads import ReadTimes
from playerstate.workload.throughput import CALL_UPDATES, IN_FLIGHT_MAX


def show(report: BenchReport) -> None:
    """Tables on standard output."""
    _throughput(report)
    _freshness(report)
    _reads(report)
    _costs(report)
    _sizes(report)
    _machine(report)


def _throughput(report: BenchReport) -> None:
    found = report.throughput
    coalescing = f"{found.updates_per_row_write:.2f} ({found.updates:,} updates, {found.rows_written:,} rows written)"
    _pairs(
        "Throughput, closed loop: accepted, applied and cached; audit and link on",
        {
            "updates/s": f"{found.updates_per_second:,.0f}",
            "updates/s until audited and linked too": f"{found.updates_per_second_audited:,.0f}",
            "load": f"{report.load}; JSON text, prepared beforehand",
            "size of an update": f"mean {report.update_bytes_mean:,.0f} bytes, median {report.update_bytes_median:,}",
            "sent": f"by one caller in the node's process, {CALL_UPDATES} a call, at most {IN_FLIGHT_MAX:,} under way",
            "measured for": f"{found.seconds:.1f} s; everything had taken effect {found.drain_s:.1f} s later",
            "updates per row write": coalescing,
            "outcomes": ", ".join(f"{name} {n:,}" for name, n in found.outcomes.items()),
        },
    )


def _freshness(report: BenchReport) -> None:
    found = report.at_rate
    _pairs(
        f"Freshness, open loop at {found.wanted_per_second:,} updates/s",
        {
            "accepted to visible, p50": f"<= {_ms(found.freshness_ms_p50)}",
            "accepted to visible, p99": f"<= {_ms(found.freshness_ms_p99)}",
            "sent": f"{found.sent_per_second:,.0f}/s, at most {_ms(found.late_ms_max)} late",
        },
    )


def _reads(report: BenchReport) -> None:
    reads = report.reads
    rows = [["in-process get", *_times(reads.node_get)], ["bare HMGET by redis-py", *_times(reads.bare_hmget)]]
    rows.append(["ratio of the medians", "", f"{reads.ratio:.2f}", ""])
    console.table(["one caller", "reads/s", "p50 us", "p99 us"], rows, title="Hot reads")


def _costs(report: BenchReport) -> None:
    spent = report.throughput.cpu_us_per_update
    rows = [[name, f"{us:.1f}"] for name, us in spent.items()]
    rows.append(["all", f"{sum(spent.values()):.1f}"])
    console.table(["stage", "CPU us per update"], rows, title="Cost, in the closed loop")


def _sizes(report: BenchReport) -> None:
    rows = [[name, f"{size:,} bytes"] for name, size in report.row_bytes.items()]
    rows += [[name, f"{size:,.0f} MB"] for name, size in report.resident_megabytes.items()]
    console.table(["stored row, or process", "size"], rows, title="Sizes, all included")


def _machine(report: BenchReport) -> None:
    machine = report.machine
    _pairs(
        "Machine",
        {
            "cores": f"{machine.cores}; load at the beginning {machine.load_1min}",
            "system": f"{machine.system}, Python {machine.python}",
            "versions": ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        },
    )


def _pairs(title: str, pairs: dict[str, str]) -> None:
    console.table(["", ""], [[name, text] for name, text in pairs.items()], title=title)


def _times(times: ReadTimes) -> list[str]:
    return [f"{times.per_second:,.0f}", f"{times.us_p50:.1f}", f"{times.us_p99:.1f}"]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
