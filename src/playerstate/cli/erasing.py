"""Erases a player, and tells what became of it."""

from __future__ import annotations

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.common import ExitCode, confirmed
from playerstate.cli.send import WAIT_S
from playerstate.cli.sending import exit_code_of_outcome, outcome_text
from playerstate.core.check import check_player_id
from playerstate.core.erasure import check_reason

ELSEWHERE = "Other regions follow as rows arrive there."


def erase_player(node: PlayerState, player_id: str, reason: str, *, ask: bool, as_json: bool) -> ExitCode:
    """Erase, wait for the outcomes, and say what they are; the worst of their exit codes."""
    check_player_id(player_id)
    check_reason(reason)
    if ask and not _is_meant(node, player_id):
        console.note("Nothing was erased.")
        return ExitCode.REFUSED
    outcomes = {
        answer.state_key: node.outcome(answer.identity, wait_s=WAIT_S)
        for answer in node.erase(player_id, reason=reason)
    }
    if as_json:
        console.document({"player_id": player_id, "reason": reason, "outcomes": outcomes})
    else:
        for state_key, outcome in outcomes.items():
            console.say(f"{outcome_text(outcome)}  ({player_id}/{state_key})")
        console.say(ELSEWHERE)
    return max((exit_code_of_outcome(outcome) for outcome in outcomes.values()), default=ExitCode.DONE)


def _is_meant(node: PlayerState, player_id: str) -> bool:
    """Ask on standard error; no answer is a no."""
    written = len(node.get_player(player_id))
    what = console.printable(player_id)
    return confirmed(f"Erase {what} ({written} keys written)? It cannot be undone.")
