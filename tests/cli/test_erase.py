"""`erase` and `export` as far as they need no running node: a node that says what it was asked."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click.termui
import msgspec
import pytest

from builders import NOW_MS, cause, letter, transition
from playerstate.cli import opening
from playerstate.cli.main import run
from playerstate.core.answers import Accepted
from playerstate.core.export import Export, ExportedKey, ExportedRow
from playerstate.core.findings import CACHE, Finding, Kind
from playerstate.core.history import HistoryPage
from playerstate.core.letters import End, Ending, GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Outcome, Reason, Status, View

Capture = pytest.CaptureFixture[str]
APPLIED = Outcome(Status.APPLIED)


class FakeNode:
    """Erases on paper; its outcomes are given, by key."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome | None] = {"gold": APPLIED, "rank": APPLIED}
        self.erased: list[tuple[str, str]] = []
        self.letters = [letter(f"{n}", identity=Identity("p", n, "ada", "gold")) for n in range(4)]
        discarded = Ending(End.DISCARDED, NOW_MS + 1, "asked for")
        self.gone = [
            GoneLetter(n + 1, f"{n}", "apply", NOW_MS, "malformed", Identity("p", n, "ada", "gold"), discarded)
            for n in range(3)
        ]
        self.found = [
            Finding(f"{3 - n}", "local", CACHE, Kind.STALE, "ada", "gold", "local:2", "local:1", NOW_MS, NOW_MS)
            for n in range(3)
        ]
        self.written = [
            transition(n, player_id="ada", written_at=NOW_MS + n, causes=[cause(n)]) for n in range(9, 0, -1)
        ]

    def erase(self, player_id: str, *, reason: str) -> list[Accepted]:
        self.erased.append((player_id, reason))
        return [Accepted("@erase:x", n, player_id, key) for n, key in enumerate(self.outcomes, 1)]

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        return self.outcomes[identity.state_key]

    def get_player(self, player_id: str) -> dict[str, View]:
        return {"gold": View(player_id, "gold", "local:1", msgspec.Raw(b"5"))}

    def history(self, player_id: str, *, before: int, limit: int, everywhere: bool) -> HistoryPage:
        assert not everywhere, "an export is of one region"
        rest = [one for one in self.written if one.written_at < before]
        return HistoryPage(rest[:2], before=rest[1].written_at if len(rest) > 2 else None)

    def dead_letters(self, *, after: str, limit: int, where: LetterFilter) -> list[DeadLetter]:
        return [one for one in [*self.letters, letter("9")] if one.letter_id > after and where.matches(one)][:1]

    def gone_letters(self, *, after: int, limit: int, where: LetterFilter) -> list[GoneLetter]:
        assert where.player_id == "ada"
        return [one for one in self.gone if one.number > after][:1]

    def findings(self, player_id: str, *, before: str, limit: int) -> list[Finding]:
        assert player_id == "ada"
        return [one for one in self.found if one.finding_id < before][:1]

    def export(self, player_id: str) -> Export:
        view = View(player_id, "gold", "local:1", msgspec.Raw(b"5"))
        gold = ExportedKey(view, {"local": ExportedRow("local:1", 0, NOW_MS, {"local": 5})})
        history, letters = self.written[:3], self.letters[:2]
        out, back = {"FRIEND": ["bob"]}, {"FRIEND": ["eve"]}
        before, after = history[-1].written_at, letters[-1].letter_id
        parts: list[Any] = [{"gold": gold}, history, letters, out, back, before, after]
        gone: dict[str, Any] = {"gone_letters": self.gone[:1], "gone_letters_after": 1}
        found: dict[str, Any] = {"findings": self.found[:1], "findings_before": self.found[0].finding_id}
        return Export(player_id, "local", NOW_MS, *parts, **gone, **found)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextmanager
    def existing_node(data: Path, *, url: str | None = None) -> Iterator[Any]:
        yield fake

    monkeypatch.setattr(opening, "existing_node", existing_node)
    return fake


def answer_with(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    def ask(_: str) -> str:
        if text is None:
            raise EOFError
        return text

    monkeypatch.setattr(click.termui, "visible_prompt_func", ask)


def test_it_asks_first(node: FakeNode, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A no, or no answer at all, erases nothing, and ends with exit code 1."""
    for text in ("n", "", None):
        answer_with(monkeypatch, text)
        assert run(["erase", "ada", "--reason", "x"]) == 1
        assert "Nothing was erased." in capsys.readouterr().err
    assert node.erased == []
    answer_with(monkeypatch, "y")
    assert run(["erase", "ada", "--reason", "x"]) == 0
    assert node.erased == [("ada", "x")]


def test_it_tells_every_outcome(node: FakeNode, capsys: Capture) -> None:
    """In words or as JSON, and that other regions follow; the exit code is that of the worst."""
    assert run(["erase", "ada", "--reason", "ticket 7", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "applied  (ada/gold)",
        "applied  (ada/rank)",
        "Other regions follow as rows arrive there.",
    ]
    node.outcomes["rank"] = Outcome(Status.REFUSED, Reason.ROW_TOO_LARGE)
    assert run(["erase", "ada", "--reason", "ticket 7", "--yes", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    outcomes = {"gold": {"status": "applied"}, "rank": {"status": "refused", "reason": "row_too_large"}}
    assert told == {"player_id": "ada", "reason": "ticket 7", "outcomes": outcomes}
    node.outcomes["gold"] = None
    assert run(["erase", "ada", "--reason", "ticket 7", "--yes"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["erase", "ada", "--yes"], 2),
        (["erase", "ada", "--reason", "x", "--json"], 2),
        (["erase", "ada", "--reason", "", "--yes"], 1),
        (["erase", "ada", "--reason", "x" * 201, "--yes"], 1),
        (["erase", "a{", "--reason", "x", "--yes"], 1),
    ],
)
def test_without_a_reason_nothing_is_erased(node: FakeNode, arguments: list[str], code: int) -> None:
    """Nor without somebody to ask, nor of a player that cannot be."""
    assert run(arguments) == code
    assert node.erased == []


def test_an_export_is_one_document(node: FakeNode, capsys: Capture) -> None:
    """Everything with its name, also what did not fit into one answer of the node."""
    assert run(["export", "ada", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    row = {"version": "local:1", "epoch": 0, "written_at": NOW_MS, "state": {"local": 5}}
    assert told["keys"] == {"gold": {"version": "local:1", "value": 5, "rows": {"local": row}}}
    assert [one["first"] for one in told["history"]] == list(range(9, 0, -1))
    assert told["history"][0]["causes"][0]["effects"] == [{"op": "add", "delta": 1}]
    assert [one["letter_id"] for one in told["dead_letters"]] == ["0", "1", "2", "3"]
    assert [(one["letter_id"], one["ending"]["end"]) for one in told["gone_letters"]] == [
        (str(n), "discarded") for n in range(3)
    ]
    assert [one["finding_id"] for one in told["findings"]] == ["3", "2", "1"]
    assert (told["edges_out"], told["edges_in"]) == ({"FRIEND": ["bob"]}, {"FRIEND": ["eve"]})
    assert (told["player_id"], told["region"], told["exported_at"]) == ("ada", "local", NOW_MS)


@pytest.mark.usefixtures("node")
def test_an_export_to_a_file_is_its_owner_s(tmp_path: Path, capsys: Capture) -> None:
    """Nobody else may read it, also where the file was there already; what is written is the same document."""
    run(["export", "ada"])
    shown = capsys.readouterr().out
    file = tmp_path / "ada.json"
    file.write_text("something longer than nothing, for others to read")
    file.chmod(0o644)
    assert run(["export", "ada", "--output", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: ")
    assert file.read_text() == shown
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(["export", "ada", "--output", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"player_id": "ada", "output": str(file), "bytes": file.stat().st_size}
