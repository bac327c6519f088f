"""Sends dead letters again, or discards them: one, some, or all that are meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.common import ExitCode, confirmed
from playerstate.cli.letters import gone_as_data
from playerstate.cli.progress import progress
from playerstate.cli.sending import send_letter, told_words
from playerstate.core.letters import LetterFilter
from playerstate.core.model import Status
from playerstate.errors import InvalidUpdate

PAGE = 1_000


def chosen(
    node: PlayerState, letter_ids: Sequence[str] | None, where: LetterFilter, question: str, *, ask: bool
) -> list[str] | None:
    """The ids of the letters that are meant, each once, as they are now; None if somebody who is asked says no.

    What comes to be a letter meanwhile is left alone: it may be what was just sent again.
    """
    if letter_ids:
        return list(dict.fromkeys(letter_ids))
    found: list[str] = []
    while page := node.dead_letters(after=found[-1] if found else "", limit=PAGE, where=where):
        found += [letter.letter_id for letter in page]
    if found and ask and not confirmed(question.format(f"{len(found):,} dead letters")):
        console.note("Nothing was done.")
        return None
    return found


def send_letters_again(node: PlayerState, ids: Sequence[str], *, one: bool, as_json: bool) -> ExitCode:
    """Send them again one after the other, and wait for the outcomes of each; the worst of their exit codes.

    It ends with the first that is dead again: the others would fare alike. One whose key has no room for its producer
    stays, and those of other keys are sent.
    """

    def send(letter_id: str) -> tuple[dict[str, Any], ExitCode, bool]:
        answers, code = send_letter(node, letter_id)
        stop = any(_in_vain(told) for told in answers)
        return {"letter_id": letter_id, "answers": answers}, code, stop

    return _one_by_one(ids, send, _sent_words, "sent again", one=one, as_json=as_json)


def discard_letters(node: PlayerState, ids: Sequence[str], reason: str, *, one: bool, as_json: bool) -> ExitCode:
    """Discard them, for a reason."""

    def discard(letter_id: str) -> tuple[dict[str, Any], ExitCode, bool]:
        return gone_as_data(node, node.discard(letter_id, reason=reason)), ExitCode.DONE, False

    def words(told: dict[str, Any]) -> str:
        return f"{told['letter_id']} is discarded."

    return _one_by_one(ids, discard, words, "discarded", one=one, as_json=as_json)


def _one_by_one(
    ids: Sequence[str],
    handle: Callable[[str], tuple[dict[str, Any], ExitCode, bool]],
    words: Callable[[dict[str, Any]], str],
    done_word: str,
    *,
    one: bool,
    as_json: bool,
) -> ExitCode:
    """What each came to, and at the end how many; what cannot be done with a letter does not stop the others."""
    if one:
        told, code, _ = handle(ids[0])
        _tell(told, words, as_json=as_json)
        return code
    done, worst = 0, ExitCode.DONE
    with progress("dead letters", as_json=as_json, unit="letters") as (advance, note):
        for place, letter_id in enumerate(ids, start=1):
            try:
                told, code, stop = handle(letter_id)
            except InvalidUpdate as exc:
                told, code, stop = {"letter_id": letter_id, "error": console.explain(exc)}, ExitCode.REFUSED, False
            done += "error" not in told and all("error" not in answer for answer in told.get("answers", []))
            worst = max(worst, code)
            _tell(told, words, as_json=as_json)
            advance(place, len(ids), place)
            if stop:
                note("What was sent is put aside again; the letters that follow are left alone.")
                break
    if as_json:
        console.document({"done": done, "of": len(ids)})
    else:
        console.say(f"{done:,} of {len(ids):,} dead letters {done_word}.")
    return worst


def _tell(told: dict[str, Any], words: Callable[[dict[str, Any]], str], *, as_json: bool) -> None:
    if as_json:
        console.document(told)
    elif "error" in told:
        console.say(f"{told['letter_id']}: {told_words(told)}")
    else:
        console.say(words(told))


def _sent_words(told: dict[str, Any]) -> str:
    if not told["answers"]:
        return f"{told['letter_id']} is back on its queue."
    return "\n".join(told_words(answer) for answer in told["answers"])


def _in_vain(told: dict[str, Any]) -> bool:
    outcome = told.get("outcome")
    return outcome is not None and outcome.status is Status.DEAD
