"""Replays a recording through the node of a folder, and shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer

from playerstate.cli import console
from playerstate.cli.opening import any_node, is_data_folder
from playerstate.cli.progress import progress
from playerstate.core.schema import parse_schema
from playerstate.errors import SchemaRefused
from playerstate.replay import Intervals, ReplayFormat, ReplayReport, replay

VALUE_SHOWN_MAX = 100


def replay_through(
    data: Path, recording: ReplayFormat, paths: Sequence[Path], *, repeats_seed: int | None, as_json: bool
) -> bool:
    """Whether node and plain replay came to the same. Raises `SchemaRefused` if the folder has another schema."""
    schema_text = recording.schema_text()
    has_schema = is_data_folder(data) or (data / "game.toml").exists()
    with any_node(data, schema=None if has_schema else schema_text) as node:
        needed = parse_schema(schema_text)
        if node.schema != needed:
            has = node.schema.game
            raise SchemaRefused(
                f"{data} has the schema {has.name!r} version {has.version}, and the format {recording.name} needs "
                f"exactly its own, {needed.game.name!r} version {needed.version}; name another folder with --data"
            )
        with progress(f"replaying {recording.name}", as_json=as_json) as (advance, note):

            def wait(seconds: float) -> None:
                note("the node does not answer yet; trying again")
                time.sleep(seconds)

            try:
                report = replay(
                    node,
                    recording,
                    paths,
                    repeats_seed=repeats_seed,
                    on_progress=lambda sent, total: advance(sent, total, sent),
                    wait=wait,
                )
            except OSError as exc:
                raise typer.BadParameter(f"{exc.filename}: {exc.strerror}", param_hint="PATHS") from exc
    if as_json:
        console.document({**msgspec.structs.asdict(report), "agrees": report.agrees})
    else:
        _show(report)
    return report.agrees


def _show(report: ReplayReport) -> None:
    source = report.source
    console.say(
        f"{report.format}: {source.events:,} events, {report.sent:,} updates sent, {report.repeats:,} repeats mixed "
        f"in, {report.retries:,} calls made again, {source.malformed:,} malformed lines"
    )
    for complaint in source.malformed_lines:
        console.note(f"malformed: {complaint}")
    if source.not_understood:
        console.counts("events not understood", source.not_understood)
    names = sorted(report.outcomes.keys() | report.plain_outcomes.keys())
    rows = [[name, f"{report.outcomes.get(name, 0):,}", f"{report.plain_outcomes.get(name, 0):,}"] for name in names]
    console.table(["outcome", "node", "plain replay"], rows)
    kinds = sorted(report.intervals.keys() | report.plain_intervals.keys())
    intervals = [
        [kind, _reconciled(report.intervals.get(kind)), _reconciled(report.plain_intervals.get(kind))] for kind in kinds
    ]
    console.table(["snapshot intervals that reconcile", "node", "plain replay"], intervals)
    state = [
        [player_id, key, console.shortened(msgspec.json.encode(value).decode(), VALUE_SHOWN_MAX)]
        for player_id, keys in report.state.items()
        for key, value in keys.items()
    ]
    console.table(["player", "key", "final state"], state)
    for difference in report.differences:
        console.say(f"different: {difference}")
    console.say("Node and plain replay agree exactly." if report.agrees else "Node and plain replay DIFFER.")


def _reconciled(intervals: Intervals | None) -> str:
    return f"{intervals.exact:,} of {intervals.total:,}" if intervals else "none"
