"""Shows what would be put right, asks, does it, and tells what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playerstate.cli import console
from playerstate.cli.common import ExitCode, confirmed
from playerstate.cli.sending import exit_code_of_outcome, outcome_text
from playerstate.core.amendment import Amendment
from playerstate.core.model import Status

VALUE_SHOWN_MAX = 200


def put_right(amend: Callable[[bool], Amendment], question: str, *, ask: bool, as_json: bool) -> ExitCode:
    """Put it right, unless somebody who is asked says no. `amend` works it out, and does it unless told not to."""
    if ask:
        meant = amend(True)
        if meant.update is not None and not _is_meant(meant, question):
            console.note("Nothing was changed.")
            return ExitCode.REFUSED
    done = amend(False)
    if as_json:
        console.document(_as_data(done))
    elif done.update is None:
        console.say("It is so already; nothing was sent.")
    else:
        console.say(f"{outcome_text(done.outcome)}  ({_name(done)})")
        if done.outcome is not None and done.outcome.status is Status.APPLIED:
            _show_changes(done)
    return exit_code_of_outcome(done.outcome)


def _is_meant(amendment: Amendment, question: str) -> bool:
    _show_changes(amendment, to=console.note)
    expected = amendment.outcome
    if expected is not None and expected.status is not Status.APPLIED:
        console.note(f"As things stand it would be {outcome_text(expected)}.")
    return confirmed(console.printable(question))


def _show_changes(amendment: Amendment, to: Callable[[str], None] = console.say) -> None:
    for change in amendment.changes:
        before, after = (
            console.shortened(bytes(value).decode(), VALUE_SHOWN_MAX) for value in (change.before, change.after)
        )
        to(f"{change.player_id}/{change.state_key}: {before} → {after}")


def _name(amendment: Amendment) -> str:
    update = amendment.update
    if update is None:
        return ""
    player_id, state_key = update.first_key
    return f"{player_id}/{state_key}, producer {update.producer}, sequence {update.sequence}"


def _as_data(amendment: Amendment) -> dict[str, Any]:
    named = amendment.update.identity._asdict() if amendment.update else None
    note = amendment.update.note if amendment.update else None
    return {"update": named, "note": note, "changes": amendment.changes, "outcome": amendment.outcome}
