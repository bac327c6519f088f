"""A player's history for people, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from playerstate.cli import console
from playerstate.core.model import Cause, Effect, Transition
from playerstate.core.numbers import to_json_number

VALUE_SHOWN_MAX = 32
EFFECT_SHOWN_MAX = 60
COLUMNS = ["when", "key", "what", "producer#sequence", "outcome", "before → after", "delay"]


def show_history(transitions: Sequence[Transition], player_id: str, *, as_json: bool) -> None:
    """A line for each update, the latest first; before and after stand once for each write."""
    if as_json:
        console.document({"player_id": player_id, "transitions": [transition_as_data(t) for t in transitions]})
    elif transitions:
        rows = (row for transition in transitions for row in _rows(transition))
        console.table(COLUMNS, rows, title=f"History of {player_id}")
    else:
        console.say(f"Nothing is recorded for {player_id}.")


def _rows(transition: Transition) -> Iterator[Sequence[str]]:
    change = f"{_short(transition.before)} → {_short(transition.after)}"
    for cause in reversed(transition.causes):
        outcome = f"{cause.status}: {cause.reason}" if cause.reason else str(cause.status)
        yield (
            _clock_time(transition.written_at),
            transition.state_key,
            _what(cause),
            f"{cause.producer}#{cause.sequence}",
            outcome,
            change,
            _duration(transition.written_at - cause.sent_at),
        )
        change = ""
    if transition.sides:
        joined = ", ".join(f"{side.region} {side.value}".rstrip() for side in transition.sides)
        what = console.shortened(f"joined {joined}", EFFECT_SHOWN_MAX)
        yield _clock_time(transition.written_at), transition.state_key, what, transition.region, "resolved", change, ""


def _what(cause: Cause) -> str:
    done = "; ".join(_effect(effect) for effect in cause.effects)
    told = console.shortened(done, EFFECT_SHOWN_MAX)
    if cause.of:
        told = f"{told} (with {'/'.join(cause.of)})"
    return f"{told} [{cause.note}]" if cause.note else told


def _effect(effect: Effect) -> str:
    """What an operation did, as short as can be."""
    if effect.deltas is not None:
        return f"{effect.op} " + ", ".join(f"{delta:+d} {item}" for item, delta in effect.deltas.items())
    if effect.delta is not None:
        return f"{effect.op} {effect.delta:+d}" + (f" {effect.item}" if effect.item else "")
    if effect.elements is not None:
        return f"{effect.op} {', '.join(effect.elements)}"
    return f"{effect.op} {effect.field}" if effect.field else effect.op


def _short(value: msgspec.Raw) -> str:
    return console.shortened(bytes(value).decode(), VALUE_SHOWN_MAX)


def _clock_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().isoformat(" ", "milliseconds")[:23]


def _duration(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 3_600_000:.1f} h"


def transition_as_data(transition: Transition) -> dict[str, Any]:
    """The transition with every field named; travelling forms leave the names out."""
    return {
        **{name: getattr(transition, name) for name in transition.__struct_fields__ if name not in ("causes", "sides")},
        "sides": [
            {"region": side.region, "version": side.version, "value": msgspec.Raw(side.value.encode() or b"null")}
            for side in transition.sides
        ],
        "causes": [_cause_as_data(cause) for cause in transition.causes],
    }


def _cause_as_data(cause: Cause) -> dict[str, Any]:
    return {
        **{name: getattr(cause, name) for name in cause.__struct_fields__ if name != "effects"},
        "effects": [_effect_as_data(effect) for effect in cause.effects],
    }


def _effect_as_data(effect: Effect) -> dict[str, Any]:
    data = {name: value for name in effect.__struct_fields__ if (value := getattr(effect, name)) is not None}
    if not effect.idle:
        data.pop("idle", None)
    if "delta" in data:
        data["delta"] = to_json_number(data["delta"])
    if "deltas" in data:
        data["deltas"] = {item: to_json_number(delta) for item, delta in data["deltas"].items()}
    return data
