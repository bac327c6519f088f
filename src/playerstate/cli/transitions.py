"""A player's history for people, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.moments import duration, local_time, zoned_time
from playerstate.cli.values import change_of, steps_of
from playerstate.core.history import Entry, HistoryPage, Wanted, at
from playerstate.core.letters import LetterFilter
from playerstate.core.model import Cause, Delivery, Effect, Transition
from playerstate.core.numbers import to_json_number

EFFECT_SHOWN_MAX = 60
LETTERS_MAX = 100
COLUMNS = ["when", "region", "key", "what", "producer#sequence", "outcome", "value", "delay"]
WHEN, REGION, KEY, SENDER = (COLUMNS.index(name) for name in ("when", "region", "key", "producer#sequence"))
DAY = len("2026-11-26")
SAME_WRITE = "\u2191"
"""An arrow up: what the write changed stands in the line above, beside another of its updates."""


def collect(
    node: PlayerState,
    player_id: str,
    state_key: str | None,
    since: int | None,
    before: int | None,
    wanted: Wanted,
    *,
    limit: int,
    everywhere: bool,
) -> HistoryPage:
    """Pages, until there are `limit` entries, or no more."""
    found = HistoryPage([], before=before)
    while True:
        page = node.history(
            player_id,
            state_key,
            since=since,
            before=found.before,
            outcome=wanted.outcome,
            producer=wanted.producer,
            limit=limit - len(found),
            everywhere=everywhere,
        )
        transitions, deliveries = found.transitions + page.transitions, found.deliveries + page.deliveries
        found = HistoryPage(transitions, deliveries, page.before, found.not_read | page.not_read, page.complete_since)
        if found.before is None or len(found) >= limit:
            return found


def show_history(
    page: HistoryPage, player_id: str, state_key: str | None, wanted: Wanted, *, limit: int, as_json: bool
) -> None:
    """A line for each update, the latest first: `limit` of them, and the rest of the last one's millisecond; as data,
    the whole page.
    """
    if as_json:
        console.document(
            {
                "player_id": player_id,
                "transitions": [transition_as_data(transition) for transition in page.transitions],
                "deliveries": [delivery_as_data(delivery) for delivery in page.deliveries],
                "before": page.before,
                "not_read": page.not_read,
                "complete_since": page.complete_since,
            }
        )
        return
    rows, goes_on = _shown(page, wanted, limit)
    if rows:
        title = f"History of {player_id}" + (f", {state_key}" if state_key else "")
        if wanted.producer is not None:
            title = f"{title}, by {wanted.producer}"
            rows = [[*row[:SENDER], row[SENDER][len(wanted.producer) :], *row[SENDER + 1 :]] for row in rows]
        _show_table(title, rows, {KEY} if state_key else set(), keep_region=bool(page.not_read))
    else:
        console.say(f"Nothing is recorded for {player_id} that was asked for.")
    note_what_is_missing(page.not_read)
    for region, since in page.complete_since.items():
        if since and (goes_on is None or goes_on <= since):
            console.note(f"the history of {region} is complete since {local_time(since)}; older writes were let go")
    if len(rows) > limit:
        console.note(f"{len(rows) - limit} more than {limit}: they were written in the same millisecond")
    if goes_on is not None:
        console.note(f"there may be more: --until '{zoned_time(goes_on - 1)}'")


def _show_table(title: str, rows: list[list[str]], told_already: set[int], *, keep_region: bool) -> None:
    """The rows; what is the same in all of them stands in the title instead."""
    if len({row[REGION] for row in rows}) == 1 and not keep_region:
        title, told_already = f"{title}, written by {rows[0][REGION]}", told_already | {REGION}
    if len({row[WHEN][:DAY] for row in rows}) == 1:
        title = f"{title}, on {rows[0][WHEN][:DAY]}"
        rows = [[row[WHEN][DAY:].lstrip(), *row[1:]] for row in rows]
    kept = [place for place in range(len(COLUMNS)) if place not in told_already]
    console.table([COLUMNS[place] for place in kept], ([row[place] for place in kept] for row in rows), title=title)


def note_what_is_missing(not_read: Mapping[str, str]) -> None:
    """Which regions could not be read."""
    for region, why in not_read.items():
        console.note(f"not all that {region} wrote is here: {why}")


def note_put_aside(node: PlayerState, player_id: str) -> None:
    """How many of the player's updates no stage could take: they stand in no history."""
    letters = node.dead_letters(limit=LETTERS_MAX, where=LetterFilter(player_id=player_id))
    if letters:
        count = f"{len(letters)}{' or more' if len(letters) == LETTERS_MAX else ''}"
        told = f"{count} dead letter{'s' if len(letters) > 1 else ''} of this player"
        console.note(f"{told}: playerstate dead-letters list --player {player_id}")


def _shown(page: HistoryPage, wanted: Wanted, limit: int) -> tuple[list[list[str]], int | None]:
    """The lines of a page up to the limit, and the time before which it goes on: what happened in one millisecond is
    shown whole, for nobody could go on in the middle of it.
    """
    entries: list[Entry] = [*page.transitions, *page.deliveries]
    rows: list[list[str]] = []
    reached = None
    for entry in sorted(entries, key=at, reverse=True):
        if len(rows) >= limit and at(entry) != reached:
            return rows, reached
        rows += _rows_of(entry, wanted) if isinstance(entry, Transition) else [_row_of_delivery(entry)]
        reached = at(entry)
    return rows, page.before


def _rows_of(transition: Transition, wanted: Wanted) -> Iterator[list[str]]:
    t = transition
    when = [local_time(t.written_at), t.region, t.state_key]
    values = steps_of(t)
    if len(values) != len(t.causes):
        values = [SAME_WRITE] * len(t.causes)
    whole = change_of(t) if SAME_WRITE in values or not values else None
    if wanted.takes_join(t):
        joined = ", ".join(f"{side.region} {side.value}".rstrip() for side in t.sides)
        what = console.shortened(f"joined {joined}", EFFECT_SHOWN_MAX)
        yield [*when, what, "", "resolved", whole or SAME_WRITE, ""]
        whole = None
    for cause, value in reversed(list(zip(t.causes, values, strict=True))):
        if wanted.takes(cause):
            late = duration(t.written_at - cause.sent_at)
            what, sender = _what(cause, t.player_id), f"{cause.producer}#{cause.sequence}"
            yield [*when, what, sender, outcome_told(cause.status, cause.reason), whole or value, late]
            whole = None


def _row_of_delivery(delivery: Delivery) -> list[str]:
    outcome = delivery.outcome
    told = outcome_told(outcome.status, outcome.reason)
    return [
        local_time(delivery.judged_at),
        delivery.region,
        delivery.state_key,
        "came again" if outcome.duplicate else "came too late",
        f"{delivery.producer}#{delivery.sequence}",
        f"duplicate ({told})" if outcome.duplicate else told,
        "",
        duration(delivery.judged_at - delivery.sent_at),
    ]


def outcome_told(status: str, reason: str | None) -> str:
    """An outcome, and why."""
    return f"{status}: {reason}" if reason else str(status)


def _what(cause: Cause, player_id: str) -> str:
    done = "; ".join(_effect(effect) for effect in cause.effects) or "nothing"
    told = console.shortened(done, EFFECT_SHOWN_MAX)
    if cause.of is not None:
        other, key = cause.of
        told += f" (with {key})" if other == player_id else f" (with {other}/{key})"
    return f"{told} [{cause.note}]" if cause.note else told


def _effect(effect: Effect) -> str:
    """What an operation did, as short as can be."""
    if effect.deltas is not None:
        named = f" {effect.item}" if effect.item else ""
        amounts = [f"{_amount(effect.op, delta)} {item}" for item, delta in effect.deltas.items()]
        return f"{effect.op}{named} " + ", ".join(amounts)
    if effect.delta is not None:
        return f"{effect.op} {_amount(effect.op, effect.delta)}" + (f" {effect.item}" if effect.item else "")
    if effect.elements is not None:
        return f"{effect.op} {', '.join(effect.elements)}"
    return f"{effect.op} {effect.field}" if effect.field else effect.op


def _amount(op: str, delta: int) -> str:
    """What an operation came to; `subtract` has the sign in its name."""
    return f"{-delta:,d}" if op == "subtract" and delta <= 0 else f"{delta:+,d}"


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


def delivery_as_data(delivery: Delivery) -> dict[str, Any]:
    """The delivery with every field."""
    data = {name: getattr(delivery, name) for name in delivery.__struct_fields__}
    outcome = delivery.outcome
    return {**data, "outcome": {name: getattr(outcome, name) for name in outcome.__struct_fields__}}


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
