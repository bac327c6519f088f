"""Dead letters for people, and as data."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.core.model import DeadLetter, Identity
from playerstate.core.wire import decode_any_updates
from playerstate.errors import InvalidUpdate

PAGE = 100
COLUMNS = ["id", "found", "stage", "code", "reason", "update"]


def show_letters(letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    """What was found, and why it is here."""
    if as_json:
        console.document({"dead_letters": [_as_data(letter) for letter in letters]})
    elif letters:
        console.table(COLUMNS, [_row(letter) for letter in letters])
    else:
        console.say("There are no dead letters.")


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


def find_letter(node: PlayerState, letter_id: str) -> DeadLetter:
    """The letter of an id. Raises `InvalidUpdate` if there is none."""
    after = letter_id[:-1]  # sorts before the id, and close to it
    while letters := node.dead_letters(after=after, limit=PAGE):
        for letter in letters:
            if letter.letter_id == letter_id:
                return letter
        after = letters[-1].letter_id
        if after > letter_id:
            break
    raise InvalidUpdate(f"There is no dead letter {letter_id[:80]!r}", code="unknown_letter")


def letter_with_body(letter: DeadLetter) -> dict[str, Any]:
    """A letter as data, with its body, and its updates where they can be read."""
    return {**_as_data(letter), "body": base64.b64encode(letter.body).decode(), **_content(letter)}


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


def _content(letter: DeadLetter) -> dict[str, Any]:
    try:
        return {"updates": decode_any_updates(letter.body)}
    except InvalidUpdate:
        return {}


def _row(letter: DeadLetter) -> list[str]:
    found = datetime.fromtimestamp(letter.at / 1000, UTC).astimezone().isoformat(" ", "seconds")[:19]
    return [letter.letter_id, found, letter.stage, letter.code, letter.reason, _named(letter.identity)]


def _named(identity: Identity | None) -> str:
    if identity is None:
        return "not readable"
    return f"{identity.producer}#{identity.sequence} for {identity.player_id}/{identity.state_key}"
