"""What `demo --regions` shows: the scenes as they happen, and in the end the two counts, side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from playerstate.cli import console
from playerstate.core.model import Json
from playerstate.workload.regional_demo import RegionalReport
from playerstate.workload.scenes import Scene, Shown


class StoryView:
    """Shows scenes: with tables at a terminal, otherwise as plain lines."""

    def __init__(self) -> None:
        self._tables = sys.stdout.isatty()
        self._number = 0

    def tell(self, scene: Scene) -> None:
        """Show a scene that has happened."""
        self._number += 1
        title = f"{self._number}. {scene.title}"
        if self._tables:
            console.heading(title)
        else:
            console.say("")
            console.say(title)
        console.say(scene.about)
        for told in scene.told:
            if isinstance(told, Shown):
                self._show(told)
            else:
                console.say(f"  {told}")
        for wrong in scene.wrong:
            console.say(f"  WRONG: {wrong}")

    def _show(self, shown: Shown) -> None:
        if not self._tables:
            console.say(f"  {shown.when}:")
            for region, values in shown.regions.items():
                told = "; ".join(f"{key} {_text(value)}" for key, value in values.items())
                console.say(f"    {region}: {told}")
            return
        keys = next(iter(shown.regions.values()))
        rows = [[key, *(_text(values[key]) for values in shown.regions.values())] for key in keys]
        console.table([shown.when, *shown.regions], rows)


def summary(report: RegionalReport, kept: Path | None) -> None:
    """What the demo came to, on standard output."""
    load, ours, theirs = report.load, report.ours, report.last_writer_wins
    cut_off = f"{report.regions[-1]} cut off for {load.cut_off_s:.1f} s of it"
    console.say("")
    console.say(
        f"Then {load.sent:,} life-like updates over all regions in {load.seconds:.1f} s, {cut_off}; everywhere "
        f"the same {load.settled_s:.1f} s after the last one." + (" It was ended early." if report.interrupted else "")
    )
    console.say(
        "The same traffic, at the same times and with the same partitions, was given to a model of a global table "
        "whose last writer wins."
    )
    rows = [[key, _text(one), _text(other)] for key, (one, other) in report.ended.items()]
    console.table(["in the end", "playerstate", "last writer wins"], rows)
    figures = [
        ("updates sent", ours.sent, theirs.sent),
        ("applied (the others were refused)", ours.applied, theirs.applied),
        ("lost", ours.lost, theirs.lost),
        ("  of those, torn: lost in one place and kept in another", 0 if not ours.lost else None, theirs.torn),
        ("gold that was earned and is gone", ours.gold_gone, theirs.gold_gone),
        ("gold that was spent and is there again, or was spent twice", ours.gold_spent_twice, theirs.gold_spent_twice),
    ]
    shown = [[what, *("-" if n is None else f"{n:,}" for n in counts)] for what, *counts in figures]
    console.table(["all updates", "playerstate", "last writer wins"], shown)
    console.say(
        f"Not counted as lost: {theirs.overwritten:,} updates of last-writer-wins that set what a concurrent one set "
        "too; of two such values one is shown under any rules."
    )
    for finding in [*ours.findings, *report.problems]:
        console.say(f"wrong: {finding}")
    if report.ok:
        console.say(
            f"Every one of {ours.sent:,} updates was looked up: its answer, its place in the history of one region; "
            f"and {ours.keys:,} keys are in every region's store, cache and graph what the applied updates come to."
        )
    else:
        console.say("NOT everything is as it must be.")
    console.say(f"Lost by last-writer-wins: {theirs.lost:,}. Lost by playerstate: {ours.lost:,}.")
    if kept is not None:
        console.say(f"The data is kept: playerstate history ada --data {kept / report.regions[0]}")


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()
