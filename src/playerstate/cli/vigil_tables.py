"""What a vigil came to, for people."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from playerstate.cli import console
from playerstate.trials.vigil_report import Planted, VigilReport


def show(report: VigilReport) -> None:
    """Tables on standard output."""
    _planted(report.planted)
    _figures(report)
    _cost(report)
    for finding in report.unexpected:
        console.say(f"unexpected: {finding.place} {finding.kind} {finding.state_key} {finding.detail}")
    missed = sum(not one.ok for one in report.planted)
    console.say(
        f"{len(report.planted):,} planted, {missed:,} not found as what they are and put right; "
        f"{len(report.unexpected):,} other findings; in the end {'all agrees' if report.agrees else 'not all agrees'}."
    )


def _planted(planted: list[Planted]) -> None:
    kinds: defaultdict[str, list[Planted]] = defaultdict(list)
    for one in planted:
        kinds[one.name].append(one)
    rows = []
    for name, of_kind in kinds.items():
        found = [one.found_after_s for one in of_kind if one.found_after_s is not None]
        mended = [one.repaired_after_s for one in of_kind if one.repaired_after_s is not None]
        names = ", ".join(sorted({one.found_as or "not found" for one in of_kind}))
        rows.append([name, names, f"{len(found)} of {len(of_kind)}", _seconds(found), _seconds(mended)])
    if rows:
        columns = ["planted", "found as", "found", "after (median, most)", "put right after (median, most)"]
        console.table(columns, rows, title="Planted by hand, under load")


def _seconds(values: list[float]) -> str:
    return f"{median(values):.1f} s, {max(values):.1f} s" if values else "-"


def _figures(report: VigilReport) -> None:
    rows = [
        ["sent", f"{report.sent:,} updates in {report.seconds:.0f} s: {report.rate_per_s:,.0f}/s"],
        ["freshness", ", ".join(f"{name} <= {ms or 0:.0f} ms" for name, ms in report.freshness_ms.items())],
        ["nines", ", ".join(f"{n:.2f} within {age} s" for age, n in report.nines_within_s.items())],
    ]
    for region, seen in report.verification.items():
        compared = ", ".join(f"{place} {n:,}" for place, n in sorted(seen.keys_compared.items()))
        judged = ", ".join(
            f"{seen.changes_judged[age] - right:,} of {seen.changes_judged[age]:,} at {age} s"
            for age, right in seen.right_within_s.items()
        )
        rows += [
            [f"{region}: changes", f"{seen.changes_checked:,} checked, {seen.misses:,} misses, {seen.shed:,} let go"],
            [f"{region}: not visible", judged],
            [f"{region}: keys compared", compared],
            [f"{region}: walks", f"{seen.sweeps} finished, the last in {seen.sweep_s:.0f} s"],
        ]
        if seen.not_checked:
            rows.append([f"{region}: not checked", ", ".join(f"{why} {n:,}" for why, n in seen.not_checked.items())])
    console.table(["", ""], rows, title="Figures")


def _cost(report: VigilReport) -> None:
    rows = [
        [region, *(f"{100 * share:.1f} %" for share in shares.values())] for region, shares in report.cpu_share.items()
    ]
    names = next(iter(report.cpu_share.values()), {})
    console.table(["region", *names], rows, title="Processor time, of one core")
