"""Replays a recording over the regions of a deployment, and shows what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from playerstate.cli import console
from playerstate.cli.progress import progress
from playerstate.cli.replaying import VALUE_SHOWN_MAX, node_for, readable_paths, show_source, show_state
from playerstate.deployment import Deployment
from playerstate.replay import ReplayFormat, SpreadReport, replay_spread


def replay_over_regions(
    data: Path,
    regions: Sequence[str],
    recording: ReplayFormat,
    paths: Sequence[Path],
    *,
    repeats_seed: int | None,
    as_json: bool,
) -> bool:
    """Whether all is as it has to be. `regions` are those of a new deployment.

    Regions that do not run are opened for as long as it takes. Raises `SchemaRefused` if one has another schema.
    """
    deployment = Deployment.make(data, regions) if regions else Deployment(data)
    with contextlib.ExitStack() as opened:
        nodes = {
            name: opened.enter_context(node_for(deployment.folder_of(name), recording))
            for name in deployment.plan().living()
        }
        with progress(f"replaying {recording.name} over {len(nodes)} regions", as_json=as_json) as (advance, _):

            def show(sent: int, total: int) -> None:
                advance(sent, total, sent)

            with readable_paths():
                report = replay_spread(
                    nodes, recording, paths, repeats_seed=repeats_seed, on_progress=show, wait=time.sleep
                )
    if as_json:
        console.document({**msgspec.structs.asdict(report), "agrees": report.agrees})
    else:
        _show(report)
    return report.agrees


def _show(report: SpreadReport) -> None:
    show_source(report)
    names = sorted({*report.plain_outcomes, *(name for its in report.outcomes.values() for name in its)})
    rows = [["sessions", *(f"{report.sessions.get(region, 0):,}" for region in report.outcomes), ""]]
    rows += [
        [
            name,
            *(f"{its.get(name, 0):,}" for its in report.outcomes.values()),
            f"{report.plain_outcomes.get(name, 0):,}",
        ]
        for name in names
    ]
    console.table(["outcome", *report.outcomes, "plain replay"], rows)
    show_state(report.state)
    if report.differing:
        rows = [
            [one.key, _value(one.here), _value(one.plain), f"{one.refused:,}", f"{one.worked_out:,}", f"{one.regions}"]
            for one in report.differing
        ]
        columns = ["key", "here", "plain replay", "other outcomes", "snapshots worked out", "regions that wrote it"]
        console.table(columns, rows, title="Otherwise than in a plain replay by one region, and what can be the reason")
    for difference in report.differences:
        console.say(f"wrong: {difference}")
    console.say(f"All regions showed the same {report.settled_s:.1f} s after the last call.")
    console.say(
        "Every value is what exactly the updates that were answered applied come to."
        if report.agrees
        else "NOT all is as it has to be."
    )


def _value(value: object) -> str:
    return console.shortened(msgspec.json.encode(value).decode(), VALUE_SHOWN_MAX)
