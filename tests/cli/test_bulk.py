"""Sending lines: batches, repeats after a lost answer, counts and exit codes, on a node that fails on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from playerstate.api import PlayerState
from playerstate.cli import bulk
from playerstate.cli.bulk import BATCH_MAX, WAITING_BATCH_MAX, LineSender
from playerstate.cli.common import ExitCode
from playerstate.cli.lines import Identities, Line
from playerstate.core.answers import Accepted, Answer, Rejected
from playerstate.core.model import Identity, Outcome, Status, Update
from playerstate.errors import OutcomeUnknown, Unavailable


class FailingNode:
    """Accepts everything but the player `bad`; raises what it was given before it goes on."""

    def __init__(self, *errors: Exception, outcome: Outcome | None = None) -> None:
        self.calls: list[list[Update]] = []
        self.errors = list(errors)
        self._outcome = outcome

    def send_many(self, updates: Sequence[Update]) -> list[Answer]:
        self.calls.append(list(updates))
        if self.errors:
            raise self.errors.pop(0)
        return [
            Rejected("bad_name", "no such name", "$") if u.ops[0].player_id == "bad" else _accepted(u) for u in updates
        ]

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        return self._outcome


def _accepted(update: Update) -> Accepted:
    return Accepted(update.producer, update.sequence, *update.first_key)


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LineSender]:
    monkeypatch.setattr(bulk.time, "sleep", lambda _seconds: None)

    def make(node: FailingNode, *, wait_s: float | None = None) -> LineSender:
        return LineSender(cast("PlayerState", node), Identities("p"), wait_s=wait_s, as_json=False)

    return make


def some_lines(*players: str) -> list[Line]:
    ops: list[Any] = [[{"player_id": player, "state_key": "gold", "op": "add", "n": 1}] for player in players]
    return [Line(number, json.dumps({"ops": op}).encode()) for number, op in enumerate(ops, 1)]


def test_a_lost_answer_is_asked_for_again_with_the_same_identities(sender: Callable[..., LineSender]) -> None:
    """Promise 11: what may have been accepted is sent again exactly as it was, time included."""
    node = FailingNode(OutcomeUnknown("lost"), Unavailable("away"))
    sending = sender(node)
    sending.take(some_lines("ada", "bob", "ada"))
    assert node.calls[0] == node.calls[1] == node.calls[2]
    assert [(u.producer, u.sequence) for u in node.calls[0]] == [("p", 1), ("p", 1), ("p", 2)]
    assert all(u.sent_at for u in node.calls[0])
    assert (sending.accepted, sending.exit_code) == (3, ExitCode.DONE)


def test_a_node_that_stays_away_is_given_up(sender: Callable[..., LineSender]) -> None:
    """The last error comes out, and nothing is counted as accepted."""
    sending = sender(FailingNode(*[OutcomeUnknown("lost")] * 1000))
    with pytest.raises(OutcomeUnknown):
        sending.take(some_lines("ada"))
    assert sending.accepted == 0


@pytest.mark.parametrize(("wait_s", "batch_max"), [(None, BATCH_MAX), (1.0, WAITING_BATCH_MAX)])
def test_batches_are_bounded(sender: Callable[..., LineSender], wait_s: float | None, batch_max: int) -> None:
    """In number, and in order."""
    node = FailingNode(outcome=Outcome(Status.APPLIED))
    sender(node, wait_s=wait_s).take(some_lines(*(f"player-{n}" for n in range(1200))))
    assert max(map(len, node.calls)) == batch_max
    assert [u.ops[0].player_id for call in node.calls for u in call] == [f"player-{n}" for n in range(1200)]


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (Outcome(Status.APPLIED), ExitCode.DONE, "applied"),
        (Outcome(Status.REFUSED, "insufficient"), ExitCode.REFUSED, "refused: insufficient"),
        (Outcome(Status.DEAD, "unknown_key"), ExitCode.REFUSED, "dead: unknown_key"),
        (None, ExitCode.UNAVAILABLE, "accepted, its outcome is not known yet"),
    ],
)
def test_outcomes_decide_the_exit_code(
    sender: Callable[..., LineSender], outcome: Outcome | None, code: ExitCode, words: str
) -> None:
    """The worst of them; every one that is not `applied` is told with its line."""
    told: list[str] = []
    sending = sender(FailingNode(outcome=outcome), wait_s=1.0)
    sending.note = told.append
    sending.take(some_lines("ada", "bad"))
    assert sending.outcomes == {words: 1}
    assert sending.exit_code is max(code, ExitCode.REFUSED)
    expected = [] if code is ExitCode.DONE else [f"line 1: {words}"]
    assert told == ["line 2: bad_name: no such name", *expected]


def test_lines_are_reported_in_their_order(sender: Callable[..., LineSender]) -> None:
    """Those that cannot be read and those that are refused, by their numbers."""
    told: list[str] = []
    sending = sender(FailingNode())
    sending.note = told.append
    good, bad = some_lines("ada", "bad")
    sending.take([good, bad, Line(3, b"?"), bad._replace(number=4), Line(5, None)])
    assert [words.split(":")[:2] for words in told] == [
        ["line 2", " bad_name"],
        ["line 3", " malformed"],
        ["line 4", " bad_name"],
        ["line 5", " too_large"],
    ]
    assert (sending.accepted, sending.rejected, sending.lines) == (1, 4, 5)
