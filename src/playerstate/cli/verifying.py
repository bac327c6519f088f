"""Verifies through a node, page by page, and tells what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.common import ExitCode
from playerstate.cli.progress import progress
from playerstate.core.answers import Compared
from playerstate.core.findings import Finding, Repair

KEYS_A_CALL = 500
FINDINGS_TOLD_MAX = 1_000
"""How many findings are told in words; all are counted, and recorded where they are put right."""
COLUMNS = ["found", "place", "what", "key", "store has", "found there", "became of it", "after", "detail"]


class _Sum:
    """What all pages came to."""

    def __init__(self) -> None:
        self.keys = 0
        self.compared: Counter[str] = Counter()
        self.lagging: Counter[str] = Counter()
        self.not_checked: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.findings: list[Finding] = []

    def add(self, page: Compared) -> None:
        """Count a page."""
        self.keys += page.keys
        self.compared.update(page.compared)
        self.lagging.update(page.lagging)
        self.not_checked.update(page.not_checked)
        self.found.update(finding.place for finding in page.findings)
        self.findings += page.findings[: FINDINGS_TOLD_MAX - len(self.findings)]


def verify_all(node: PlayerState, *, repair: bool, as_json: bool) -> ExitCode:
    """Walk through everything."""
    total, cursor = _Sum(), ""
    with progress("verifying", as_json=as_json, unit="keys") as (advance, _):
        while True:
            page = node.verify(cursor, keys=KEYS_A_CALL, repair=repair)
            total.add(page)
            advance(total.keys, max(page.keys_total, total.keys), total.keys)
            cursor = page.cursor
            if not cursor:
                return _tell(total, "everything", as_json=as_json)


def verify_sample(node: PlayerState, keys: int, *, repair: bool, as_json: bool) -> ExitCode:
    """Compare about so many random keys."""
    total = _Sum()
    with progress("verifying", as_json=as_json, unit="keys") as (advance, _):
        while total.keys < keys:
            if not total.keys and node.verify(keys=1, sample=True, repair=False).keys_total <= keys:
                return verify_all(node, repair=repair, as_json=as_json)  # there is no more than that
            page = node.verify(keys=min(KEYS_A_CALL, keys - total.keys), sample=True, repair=repair)
            total.add(page)
            advance(min(total.keys, keys), keys, total.keys)
            if not page.keys:
                break
    return _tell(total, "a sample", as_json=as_json)


def _tell(total: _Sum, what: str, *, as_json: bool) -> ExitCode:
    agrees, is_whole = not total.found, not total.not_checked
    if as_json:
        console.document(
            {
                "agrees": agrees,
                "scope": what,
                "keys": total.keys,
                "compared": total.compared,
                "lagging": total.lagging,
                "not_checked": total.not_checked,
                "findings_total": total.found.total(),
                "findings": total.findings,
            }
        )
    else:
        rows = [
            [place, f"{n:,}", f"{total.lagging[place]:,}", f"{total.found[place]:,}"]
            for place, n in sorted(total.compared.items())
        ]
        console.table(["place", "keys compared", "lagging", "findings"], rows, title=f"Verified {what}")
        for why, n in sorted(total.not_checked.items()):
            console.say(f"not checked: {why} ({n:,})")
        if total.findings:
            show_findings(total.findings, as_json=False)
        console.say(_verdict(total))
    if not agrees:
        return ExitCode.REFUSED
    return ExitCode.DONE if is_whole else ExitCode.UNAVAILABLE


def _verdict(total: _Sum) -> str:
    if total.found:
        return f"{total.found.total():,} findings."
    if total.not_checked:
        return "What was compared agrees, but not everything could be compared."
    on_its_way = f" {total.lagging.total():,} changes are on their way." if total.lagging else ""
    return f"Everything agrees.{on_its_way}"


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """A line for each."""
    if as_json:
        console.document({"findings": findings})
    elif findings:
        console.table(COLUMNS, [_row(finding) for finding in findings])
    else:
        console.say("Nothing was found.")


def _row(finding: Finding) -> list[str]:
    found = datetime.fromtimestamp(finding.found_at / 1000, UTC).astimezone().isoformat(" ", "seconds")[:19]
    seen_s = (finding.found_at - finding.first_seen_at) / 1000
    done = finding.repair if finding.repair is not Repair.LEFT else "left"
    after = f"seen {seen_s:.1f} s" + (
        f", {finding.repair} {(finding.repaired_at - finding.found_at) / 1000:.1f} s" if finding.repaired_at else ""
    )
    key, detail = str(finding.key), finding.detail
    return [found, finding.place, finding.kind, key, finding.expected, finding.found, str(done), after, detail]
