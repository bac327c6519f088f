"""Dead letters, and what became of those that have gone, for people and as data."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import click
import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.ages import age_text, parse_age
from playerstate.cli.sending import now_ms, outcome_text
from playerstate.core.answers import Stats
from playerstate.core.letters import GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Outcome, Stage
from playerstate.core.wire import decode_any_updates
from playerstate.errors import InvalidUpdate

PAGE = 100
COLUMNS = ["id", "found", "age", "stage", "code", "reason", "update"]
GONE_COLUMNS = ["number", "id", "found", "gone", "stage", "code", "what became of it", "update"]


def letter_filter(stage: str, code: str, player: str, older_than: str) -> LetterFilter:
    """The filter that options name. Raises `click.UsageError`."""
    if stage and stage not in get_args(Stage):
        raise click.UsageError(f"There is no stage {stage!r}; there are {', '.join(get_args(Stage))}")
    before = now_ms() - parse_age(older_than) if older_than else None
    return msgspec.convert(
        {"stage": stage or None, "code": code or None, "player_id": player or None, "before": before}, LetterFilter
    )


def show_letters(letters: Sequence[DeadLetter], stats: Stats, *, as_json: bool) -> None:
    """What was found, and why it is here; and how many there are in all."""
    if as_json:
        console.document(
            {
                "dead_letters": [{**_as_data(letter), "age_s": _age_ms(letter) / 1000} for letter in letters],
                "count": stats.dead_letters,
                "by_stage": stats.dead_letters_by_stage,
                "oldest_s": round(stats.dead_letters_oldest_s, 3),
            }
        )
        return
    if letters:
        console.table(COLUMNS, [_row(letter) for letter in letters])
    else:
        console.say("There are no dead letters." if not stats.dead_letters else "None of the dead letters is meant.")
    if stats.dead_letters:
        by_stage = ", ".join(f"{count:,} of {stage}" for stage, count in sorted(stats.dead_letters_by_stage.items()))
        oldest = age_text(int(stats.dead_letters_oldest_s * 1000))
        console.say(f"{stats.dead_letters:,} in all: {by_stage}. The oldest was found {oldest} ago.")


def show_gone(node: PlayerState, gone: Sequence[GoneLetter], *, as_json: bool) -> None:
    """What is on record of letters that have gone, and the outcomes of those that were sent again."""
    if as_json:
        console.document({"gone_letters": [gone_as_data(node, one) for one in gone]})
    elif gone:
        console.table(GONE_COLUMNS, [_gone_row(node, one) for one in gone])
    else:
        console.say("No dead letters that have gone are on record.")


def show_letter(letter: DeadLetter, *, as_json: bool) -> None:
    """One letter, with its body: its updates where they can be read, otherwise its bytes."""
    if as_json:
        console.document(letter_with_body(letter))
        return
    for name, cell in zip(COLUMNS, _row(letter), strict=True):
        console.say(f"{name:7} {cell}")
    content = _content(letter)
    if "updates" not in content:
        console.say(f"body    {letter.body!r}")
    for update in content.get("updates", []):
        console.say(f"body    {msgspec.json.encode(update).decode()}")


def show_what_became(node: PlayerState, letter_id: str, *, as_json: bool) -> None:
    """The record of a letter that has gone. Raises `InvalidUpdate` if there is none."""
    gone = node.gone_letter(letter_id)
    if gone is None:
        raise InvalidUpdate(f"There is no dead letter {letter_id[:80]!r}", code="unknown_letter")
    if as_json:
        console.document(gone_as_data(node, gone))
        return
    for name, cell in zip(GONE_COLUMNS, _gone_row(node, gone), strict=True):
        console.say(f"{name:17} {cell}")


def find_letter(node: PlayerState, letter_id: str) -> DeadLetter | None:
    """The letter of an id."""
    after = letter_id[:-1]  # sorts before the id, and close to it
    while letters := node.dead_letters(after=after, limit=PAGE):
        for letter in letters:
            if letter.letter_id == letter_id:
                return letter
        after = letters[-1].letter_id
        if after > letter_id:
            break
    return None


def letter_with_body(letter: DeadLetter) -> dict[str, Any]:
    """A letter as data, with its body, and its updates where they can be read."""
    return {**_as_data(letter), "body": base64.b64encode(letter.body).decode(), **_content(letter)}


def gone_as_data(node: PlayerState, gone: GoneLetter) -> dict[str, Any]:
    """The record of a letter as data; of one that was sent again, with the outcomes that are known."""
    told: dict[str, Any] = {
        "number": gone.number,
        "letter_id": gone.letter_id,
        "stage": gone.stage,
        "at": gone.at,
        "code": gone.code,
        "identity": gone.identity._asdict() if gone.identity else None,
        "end": gone.ending.end,
        "ended_at": gone.ending.at,
    }
    if gone.ending.reason:
        told["reason"] = gone.ending.reason
    if gone.ending.sent_as:
        told["sent_as"] = [{**one._asdict(), "outcome": _outcome(node, one)} for one in gone.ending.sent_as]
    return told


def _as_data(letter: DeadLetter) -> dict[str, Any]:
    identity = letter.identity
    return {
        "letter_id": letter.letter_id,
        "stage": letter.stage,
        "at": letter.at,
        "code": letter.code,
        "reason": letter.reason,
        "identity": identity._asdict() if identity else None,
    }


def _age_ms(letter: DeadLetter) -> int:
    return max(now_ms() - letter.at, 0)


def _content(letter: DeadLetter) -> dict[str, Any]:
    try:
        return {"updates": decode_any_updates(letter.body)}
    except InvalidUpdate:
        return {}


def _row(letter: DeadLetter) -> list[str]:
    found = [letter.letter_id, _time(letter.at), age_text(_age_ms(letter)), letter.stage, letter.code]
    return [*found, letter.reason, _named(letter.identity)]


def _gone_row(node: PlayerState, gone: GoneLetter) -> list[str]:
    became = str(gone.ending.end).replace("_", " ")
    if gone.ending.reason:
        became += f": {gone.ending.reason}"
    for one in gone.ending.sent_as:
        became += f"\nas {one.producer}#{one.sequence}: {outcome_text(_outcome(node, one))}"
    found = [str(gone.number), gone.letter_id, _time(gone.at), _time(gone.ending.at), gone.stage, gone.code]
    return [*found, became, _named(gone.identity)]


def _outcome(node: PlayerState, identity: Identity) -> Outcome | None:
    """None also for a key that the schema has no more."""
    try:
        return node.outcome(identity)
    except InvalidUpdate:
        return None


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().isoformat(" ", "seconds")[:19]


def _named(identity: Identity | None) -> str:
    if identity is None:
        return "not readable"
    return f"{identity.producer}#{identity.sequence} for {identity.player_id}/{identity.state_key}"
