"""`set` and `undo` as far as they need no running node: a node that says what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click.termui
import msgspec
import pytest

from playerstate.cli import opening
from playerstate.cli.main import run
from playerstate.core.amendment import Amendment, Change
from playerstate.core.model import Identity, Op, Outcome, Reason, Status, Update
from playerstate.core.schema import parse_schema
from playerstate.errors import InvalidUpdate
from playerstate.folder import starter_schema

Capture = pytest.CaptureFixture[str]
APPLIED = Outcome(Status.APPLIED)
CHANGE = Change("ada", "gold", "local:2", msgspec.Raw(b"5"), msgspec.Raw(b"500"))
UPDATE = Update([Op("ada", "gold", "set", n=500)], "undo:1f", 2, 7, note="set: x")


class FakeNode:
    """Puts right on paper; its outcome is given."""

    def __init__(self) -> None:
        self.schema = parse_schema(starter_schema())
        self.outcome: Outcome | None = APPLIED
        self.update: Update | None = UPDATE
        self.called: list[tuple[Any, ...]] = []
        self.done: list[tuple[Any, ...]] = []

    def set_value(self, player_id: str, state_key: str, value: Any, *, reason: str, dry_run: bool) -> Amendment:
        return self._amend((player_id, state_key, value, reason), dry_run)

    def undo(self, identity: Identity, *, reason: str, dry_run: bool) -> Amendment:
        return self._amend((identity, reason), dry_run)

    def _amend(self, call: tuple[Any, ...], dry_run: bool) -> Amendment:
        if call[-1] == "":
            raise InvalidUpdate("Putting right needs a reason", code="no_reason")
        self.called.append(call)
        if not dry_run:
            self.done.append(call)
        return Amendment(self.update, [CHANGE] if self.update else [], self.outcome)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextmanager
    def existing_node(data: Path, *, url: str | None = None) -> Iterator[Any]:
        yield fake

    monkeypatch.setattr(opening, "existing_node", existing_node)
    return fake


SET = ["set", "ada", "gold", "500", "--reason", "x"]
UNDO = ["undo", "ada", "gold", "a#b#3", "--reason", "x"]


@pytest.mark.parametrize("arguments", [SET, UNDO])
def test_it_asks_first(node: FakeNode, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """What would change is shown, and what would come of it; a no, or no answer at all, changes nothing."""
    node.outcome = Outcome(Status.REFUSED, Reason.INSUFFICIENT)
    for text in ("n", None):
        _answer_with(monkeypatch, text)
        assert run(arguments) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert "ada/gold: 5 → 500" in told.err
        assert "As things stand it would be refused: insufficient." in told.err
        assert "Nothing was changed." in told.err
    assert node.done == []
    node.outcome = APPLIED
    _answer_with(monkeypatch, "y")
    assert run(arguments) == 0
    assert len(node.done) == 1
    assert capsys.readouterr().out.splitlines() == [
        "applied  (ada/gold, producer undo:1f, sequence 2)",
        "ada/gold: 5 → 500",
    ]


def _answer_with(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    def ask(_: str) -> str:
        if text is None:
            raise EOFError
        return text

    monkeypatch.setattr(click.termui, "visible_prompt_func", ask)


def test_values_and_updates_are_read_from_arguments(node: FakeNode) -> None:
    """A value is JSON or text, also one below zero; a producer may have a # in it."""
    values = [("-5", -5), ('["a"]', ["a"]), ("true", True), ("duchess", "duchess"), ('{"x": 1}', {"x": 1})]
    for text, value in values:
        assert run(["set", "ada", "gold", text, "--reason", "x", "--yes"]) == 0
        assert node.done[-1] == ("ada", "gold", value, "x")
    large = str(2**60)
    for key, value in [("gold", large), ("position", 2**60)]:  # of which one is a number by its type
        assert run(["set", "ada", key, large, "--reason", "x", "--yes"]) == 0
        assert node.done[-1][2] == value
    assert run([*UNDO, "--yes"]) == 0
    assert node.done[-1] == (Identity("a#b", 3, "ada", "gold"), "x")
    assert len(node.called) == len(node.done)


def test_the_exit_code_is_the_outcomes(node: FakeNode, capsys: Capture) -> None:
    """1 where it was not applied, 3 where that is not known; what is so already is done."""
    for outcome, code in [(APPLIED, 0), (Outcome(Status.CONFLICT), 1), (None, 3)]:
        node.outcome = outcome
        assert run([*UNDO, "--yes", "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        assert told["outcome"] == msgspec.to_builtins(outcome)
    assert told["update"] == {"producer": "undo:1f", "sequence": 2, "player_id": "ada", "state_key": "gold"}
    assert told["changes"] == [
        {"player_id": "ada", "state_key": "gold", "version": "local:2", "before": 5, "after": 500}
    ]
    node.update, node.outcome = None, APPLIED
    assert run(SET) == 0
    assert capsys.readouterr().out == "It is so already; nothing was sent.\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set", "ada", "gold", "5", "--yes"], 2),
        (["undo", "ada", "gold", "a#1", "--yes"], 2),
        (["set", "ada", "gold", "5", "--reason", "x", "--json"], 2),
        (["undo", "ada", "gold", "a#1", "--reason", "x", "--json"], 2),
        (["undo", "ada", "gold", "a", "--reason", "x", "--yes"], 2),
        (["undo", "ada", "gold", "#1", "--reason", "x", "--yes"], 2),
        (["undo", "ada", "gold", "a#-1", "--reason", "x", "--yes"], 2),
        (["set", "ada", "gold", '{"x"', "--reason", "x", "--yes"], 2),
        (["undo", "ada", "gold", "a#1", "--reason", "", "--yes"], 1),
        (["set", "ada", "gold", "5", "--reason", "", "--yes"], 1),
    ],
)
def test_what_is_called_wrongly_changes_nothing(node: FakeNode, arguments: list[str], code: int) -> None:
    """Nor without a reason, or without somebody to ask."""
    assert run(arguments) == code
    assert node.done == []
