"""Replays a recording through the node of a folder, and shows what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import typer

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.opening import any_node, is_data_folder
from playerstate.cli.progress import progress
from playerstate.core.model import Json
from playerstate.core.schema import parse_schema
from playerstate.errors import SchemaRefused
from playerstate.replay import Intervals, ReplayFormat, ReplayReport, SpreadReport, replay

VALUE_SHOWN_MAX = 100


def replay_through(
    data: Path, recording: ReplayFormat, paths: Sequence[Path], *, repeats_seed: int | None, as_json: bool
) -> bool:
    """Whether node and plain replay came to the same. Raises `SchemaRefused` if the folder has another schema."""
    with node_for(data, recording) as node, progress(f"replaying {recording.name}", as_json=as_json) as (advance, note):

        def wait(seconds: float) -> None:
            note("the node does not answer yet; trying again")
            time.sleep(seconds)

        with readable_paths():
            report = replay(
                node,
                recording,
                paths,
                repeats_seed=repeats_seed,
                on_progress=lambda sent, total: advance(sent, total, sent),
                wait=wait,
            )
    if as_json:
        console.document({**msgspec.structs.asdict(report), "agrees": report.agrees})
    else:
        _show(report)
    return report.agrees


@contextlib.contextmanager
def node_for(data: Path, recording: ReplayFormat) -> Iterator[PlayerState]:
    """The node of a folder, for a recording. Raises `SchemaRefused` if the folder has another schema."""
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
        yield node


@contextlib.contextmanager
def readable_paths() -> Iterator[None]:
    """Have a recording's file that cannot be read told as the argument that named it."""
    try:
        yield
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename}: {exc.strerror}", param_hint="PATHS") from exc


def show_source(report: ReplayReport | SpreadReport) -> None:
    """What was read and sent."""
    source = report.source
    console.say(
        f"{report.format}: {source.events:,} events, {report.sent:,} updates sent, {report.repeats:,} repeats mixed "
        f"in, {report.retries:,} calls made again, {source.malformed:,} malformed lines"
    )
    for complaint in source.malformed_lines:
        console.note(f"malformed: {complaint}")
    if source.not_understood:
        console.counts("events not understood", source.not_understood)


def show_state(state: Mapping[str, Mapping[str, Json]]) -> None:
    """The values by player and key."""
    rows = [
        [player_id, key, console.shortened(msgspec.json.encode(value).decode(), VALUE_SHOWN_MAX)]
        for player_id, keys in state.items()
        for key, value in keys.items()
    ]
    console.table(["player", "key", "final state"], rows)


def _show(report: ReplayReport) -> None:
    show_source(report)
    names = sorted(report.outcomes.keys() | report.plain_outcomes.keys())
    rows = [[name, f"{report.outcomes.get(name, 0):,}", f"{report.plain_outcomes.get(name, 0):,}"] for name in names]
    console.table(["outcome", "node", "plain replay"], rows)
    kinds = sorted(report.intervals.keys() | report.plain_intervals.keys())
    intervals = [
        [kind, _reconciled(report.intervals.get(kind)), _reconciled(report.plain_intervals.get(kind))] for kind in kinds
    ]
    console.table(["snapshot intervals that reconcile", "node", "plain replay"], intervals)
    show_state(report.state)
    for difference in report.differences:
        console.say(f"different: {difference}")
    console.say("Node and plain replay agree exactly." if report.agrees else "Node and plain replay DIFFER.")


def _reconciled(intervals: Intervals | None) -> str:
    return f"{intervals.exact:,} of {intervals.total:,}" if intervals else "none"
