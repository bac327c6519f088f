"""Sends single updates, and tells what became of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.common import ExitCode
from playerstate.cli.send import WAIT_S
from playerstate.cli.update_arguments import op_from_arguments
from playerstate.core.answers import Answer, Rejected
from playerstate.core.model import Outcome, Status, Update
from playerstate.core.schema import Schema
from playerstate.core.wire import decode_json_update
from playerstate.errors import OutcomeUnknown
from playerstate.replay.patience import Patience


class SingleUpdate(NamedTuple):
    """What the command was called with: PLAYER KEY OP and its arguments, or JSON."""

    words: Sequence[str]
    arguments: Sequence[str]
    json_update: str | None
    producer: str | None
    sequence: int | None
    if_version: str | None
    note: str | None = None

    def build(self, schema: Schema) -> Update:
        """The update. Raises `InvalidUpdate`, or `click.UsageError` for arguments that cannot be read."""
        if self.json_update is not None:
            update = decode_json_update(self.json_update)
        else:
            player_id, state_key, name = self.words
            update = Update([op_from_arguments(schema, player_id, state_key, name, self.arguments)])
        given = {
            "producer": self.producer,
            "sequence": self.sequence,
            "if_version": self.if_version,
            "note": self.note,
        }
        return msgspec.structs.replace(update, **{name: value for name, value in given.items() if value is not None})


def send_one(node: PlayerState, single: SingleUpdate, *, wait_s: float | None, as_json: bool) -> ExitCode:
    """Send one update, wait for its outcome unless `wait_s` is None, and say what it is."""
    update = single.build(node.schema)
    try:
        if update.producer:
            update = msgspec.structs.replace(update, sent_at=update.sent_at or now_ms())
            answer = Patience(time.sleep)(node.send, update)
        else:
            answer = node.send(update)
    except OutcomeUnknown as exc:
        again = "with the same --producer and --sequence is harmless" if update.producer else "may count it twice"
        raise OutcomeUnknown(
            f"It is not known whether the update was accepted; sending it again {again} ({exc})"
        ) from exc
    told, code = _told(node, answer, wait_s)
    if isinstance(answer, Rejected) and as_json:
        console.error_document(told)
    elif isinstance(answer, Rejected):
        console.note(told_words(told))
    elif as_json:
        console.document(told)
    else:
        console.say(told_words(told))
    return code


def send_letter(node: PlayerState, letter_id: str) -> tuple[list[dict[str, Any]], ExitCode]:
    """Send a dead letter's updates again; what is to be told of each, and the worst of their exit codes."""
    results = [_told(node, answer, WAIT_S) for answer in node.send_again(letter_id)]
    return [told for told, _ in results], max((code for _, code in results), default=ExitCode.DONE)


def exit_code_of_outcome(outcome: Outcome | None) -> ExitCode:
    """What an outcome that was waited for means."""
    if outcome is None:
        return ExitCode.UNAVAILABLE
    return ExitCode.DONE if outcome.status is Status.APPLIED else ExitCode.REFUSED


def outcome_text(outcome: Outcome | None) -> str:
    """`applied`, `refused: insufficient`, ...; for None, that it is not known yet."""
    if outcome is None:
        return "accepted, its outcome is not known yet"
    return f"{outcome.status}: {outcome.reason}" if outcome.reason else str(outcome.status)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _told(node: PlayerState, answer: Answer, wait_s: float | None) -> tuple[dict[str, Any], ExitCode]:
    """What is to be told of an answer, and the exit code."""
    if isinstance(answer, Rejected):
        error = {"code": answer.code, "message": answer.message, "where": answer.where}
        return {"error": error}, ExitCode.REFUSED
    told: dict[str, Any] = answer.identity._asdict()
    if wait_s is None:
        return told, ExitCode.DONE
    outcome = node.outcome(answer.identity, wait_s=wait_s)
    return {**told, "outcome": outcome}, exit_code_of_outcome(outcome)


def told_words(told: dict[str, Any]) -> str:
    """What is to be told of an answer, in words."""
    if "error" in told:
        return f"rejected ({told['error']['code']}): {told['error']['message']}"
    done = outcome_text(told["outcome"]) if "outcome" in told else "accepted"
    place = f"{told['player_id']}/{told['state_key']}"
    return f"{done}  ({place}, producer {told['producer']}, sequence {told['sequence']})"
