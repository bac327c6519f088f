"""`dead-letters` as far as it needs no running node: choosing, asking, ages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import click.termui
import pytest

from builders import NOW_MS, letter
from playerstate.cli import opening
from playerstate.cli.ages import age_text, parse_age
from playerstate.cli.main import run
from playerstate.core.answers import Accepted, Answer, Rejected
from playerstate.core.letters import End, Ending, GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Outcome, Status
from playerstate.errors import InvalidUpdate, Unavailable

Capture = pytest.CaptureFixture[str]
DEAD = Outcome(Status.DEAD, "unknown_key")


class FakeNode:
    """Has letters 0 to 4; what sending one again comes to is given."""

    def __init__(self) -> None:
        self.letters = [letter(f"{n}", stage="apply" if n < 3 else "link") for n in range(5)]
        self.outcomes: dict[str, Outcome] = {}
        self.done: list[str] = []
        self.away: str | None = None

    def dead_letters(self, *, after: str, limit: int, where: LetterFilter) -> list[DeadLetter]:
        return [one for one in self.letters if one.letter_id > after and where.matches(one)][:2]

    def send_again(self, letter_id: str) -> list[Answer]:
        if letter_id == self.away:
            raise Unavailable("the node went away")
        if letter_id == "1":
            return [Rejected("unknown_key", "no such key", "$")]
        if letter_id == "2":
            raise InvalidUpdate("processed already", code="processed")
        self.done.append(letter_id)
        return [Accepted("replay:x", 1, "ada", letter_id)]

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        return self.outcomes.get(identity.state_key, Outcome(Status.APPLIED))

    def discard(self, letter_id: str, *, reason: str) -> GoneLetter:
        self.done.append(letter_id)
        return GoneLetter(1, letter_id, "apply", NOW_MS, "malformed", None, Ending(End.DISCARDED, NOW_MS, reason))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextmanager
    def existing_node(data: Path, *, url: str | None = None) -> Iterator[Any]:
        yield fake

    monkeypatch.setattr(opening, "existing_node", existing_node)
    return fake


def again(*arguments: str) -> int:
    return run(["dead-letters", "send-again", *arguments])


def test_all_that_are_meant_are_sent_again(node: FakeNode, capsys: Capture) -> None:
    """Page by page; what cannot be sent is said, stops no other, and makes the exit code; the sum is the last line."""
    assert again("--all", "--yes", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert node.done == ["0", "3", "4"]
    assert lines[1]["answers"][0]["error"]["code"] == "unknown_key"
    assert lines[2]["error"]["code"] == "processed"
    assert lines[-1] == {"done": 3, "of": 5}
    assert again("--all", "--yes", "--stage", "link") == 0
    assert node.done[3:] == ["3", "4"]
    assert "2 of 2 dead letters sent again" in capsys.readouterr().out


def test_it_ends_with_what_is_dead_again(node: FakeNode, capsys: Capture) -> None:
    """The others would fare alike."""
    node.outcomes["3"] = DEAD
    assert again("--all", "--yes") == 1
    assert node.done == ["0", "3"]
    assert "left alone" in capsys.readouterr().err


def test_a_node_that_goes_away_ends_it(node: FakeNode) -> None:
    """What is left is sent by the next call."""
    node.away = "3"
    assert again("--all", "--yes") == 3
    assert node.done == ["0"]


def test_named_letters(node: FakeNode, capsys: Capture) -> None:
    """One is told as itself; of several each once, with the sum."""
    assert again("3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["letter_id"] == "3"
    assert again("2", "--json") == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "processed"
    assert again("3", "4", "3") == 0
    assert node.done == ["3", "3", "4"]
    assert run(["dead-letters", "discard", "0", "--reason", "a test"]) == 0
    assert capsys.readouterr().out.endswith("0 is discarded.\n")


@pytest.mark.parametrize("answer", ["y\n", "n\n", ""])
def test_all_are_asked_for(node: FakeNode, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """With how many there are; without a yes nothing is done."""
    asked: list[str] = []

    def confirm(question: str, *, err: bool) -> bool:
        asked.append(question)
        if not answer:
            raise click.Abort
        return answer == "y\n"

    monkeypatch.setattr("typer.confirm", confirm)
    code = run(["dead-letters", "discard", "--all", "--reason", "a test", "--stage", "apply"])
    assert code == (0 if answer == "y\n" else 1)
    assert asked == ["Discard 3 dead letters? It cannot be undone."]
    assert node.done == (["0", "1", "2"] if answer == "y\n" else [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["send-again"],
        ["send-again", "1", "--all"],
        ["send-again", "1", "--stage", "link"],
        ["send-again", "--all", "--stage", "lnik", "--yes"],
        ["send-again", "--all", "--older-than", "soon", "--yes"],
        ["discard", "1"],
        ["discard", "--all", "--reason", "x", "--json"],
        ["list", "--gone", "--after", "stream-1"],
    ],
    ids=" ".join,
)
def test_being_called_wrongly(node: FakeNode, arguments: list[str]) -> None:
    """Exit code 2, and nothing is done."""
    assert run(["dead-letters", *arguments]) == 2
    assert node.done == []


@pytest.mark.parametrize("reason", ["", " ", "x" * 201, "a\nb"])
def test_discarding_needs_a_reason(node: FakeNode, reason: str) -> None:
    """Also of many."""
    assert run(["dead-letters", "discard", "--all", "--yes", "--reason", reason]) == 1
    assert node.done == []


def test_ages() -> None:
    """As they are written, and in the largest unit of which there are two."""
    assert [parse_age(text) for text in ("90s", "15m", "36h", "14d")] == [90_000, 900_000, 129_600_000, 1_209_600_000]
    assert [age_text(ms) for ms in (-5, 0, 119_999, 120_000, 7_199_999, 7_200_000, 172_799_999, 172_800_000)] == [
        "0 s",
        "0 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]
    for text in ("", "5", "-5s", "5w", "5 s", "1.5h"):
        with pytest.raises(click.UsageError):
            parse_age(text)
