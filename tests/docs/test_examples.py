"""The examples in the documentation run, and come to what they say."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.markdown import Block, blocks, read, section
from docs.shell import Command, Shell, commands
from examples.journals import FIRST_SESSION
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.core.model import Op, Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.folder import starter_schema
from playerstate.node import Options
from playerstate.ports.stream import NewRecord
from playerstate.regions import Regions

SEND_AGAIN = Command("playerstate send ada position set 5", 0, background=False)
ENDLESS = re.compile(r"playerstate (serve|watch|status --watch|demo|bench|chaos --real|vigil|worker|aws package)\b")
"""What runs on, or for long; other tests run these. Here their options are read, and no more."""


def run_python(name: str, found: list[Block]) -> None:
    """Run the blocks of a page one after the other, as one program."""
    names: dict[str, Any] = {"__name__": "documentation"}
    for block in found:
        code = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's line
        exec(compile(code, name, "exec"), names)


def test_the_python_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example of the Python page runs, and prints what it says."""
    monkeypatch.chdir(tmp_path)
    found = [block for block in blocks(read("docs/python.md")) if block.language == "python"]
    run_python("docs/python.md", found)
    said = [line.partition("# -> ")[2] for block in found for line in block.text.splitlines() if "# -> " in line]
    assert len(said) > 10
    assert capsys.readouterr().out.splitlines() == said


def test_the_first_five_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's commands end as it says, one after the other, and then its Python runs against the served node."""
    five_minutes = list(blocks(section(read("README.md"), "The first five minutes")))
    found = [command for block in five_minutes if block.language == "sh" for command in commands(block.text)]
    assert len(found) > 5
    with Shell(tmp_path) as shell:
        for command in found:
            shell.run(command)
        while shell.still_running("watch"):  # it may have begun to listen after the change that it was to show
            shell.run(SEND_AGAIN)
        monkeypatch.chdir(tmp_path)
        run_python("README.md", [block for block in five_minutes if block.language == "python"])
    assert capsys.readouterr().out.splitlines() == ["applied", "{'shield': 1, 'sword': 1}"]


@pytest.mark.parametrize(
    ("page", "heading"), [("README.md", "Several regions"), ("docs/regions.md", "The first five minutes")]
)
def test_several_regions(tmp_path: Path, page: str, heading: str) -> None:
    """The commands end as the pages say, one after the other: what is waited for comes, what is refused is refused."""
    found = [
        command
        for block in blocks(section(read(page), heading))
        if block.language == "sh"
        for command in commands(block.text)
    ]
    assert len(found) > 5
    with Shell(tmp_path) as shell:
        for command in found:
            shell.run(command)


def prepare(folder: Path) -> None:
    """What the examples of the commands need: a schema, lines of JSON, a journal, a dead letter, and three regions."""
    (folder / "game.toml").write_text(starter_schema(), "utf-8")
    update = {"ops": [{"player_id": "eve", "state_key": "gold", "op": "add", "n": 5}]}
    lines = f"{json.dumps(update)}\n" * 3
    (folder / "updates.ndjson").write_text(lines, "utf-8")
    (folder / "updates.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    journal = "".join(f"{json.dumps(event)}\n" for event in FIRST_SESSION)
    (folder / "Journal.3309-01-01T120000.01.log").write_text(journal, "utf-8")
    (folder / "data").mkdir()
    stream = SqliteStream(folder / "data" / "stream.db")
    nobodys = encode_update(Update([Op("ada", "gold", "add", n=1)]))  # accept would have named a producer: a letter
    stream.append([NewRecord("anyone", encode_record(0, [nobodys]))])
    stream.close()
    with Regions(folder / "world", ["us-east-1", "eu-west-1", "ap-northeast-1"], options=Options(workers="thread")):
        pass


def test_the_commands_page(tmp_path: Path) -> None:
    """Every example of the page on commands ends as it says, in the order of the page, on a served node."""
    found = [command for block in blocks(read("docs/cli.md")) for command in commands(block.text)]
    found = [command for command in found if "COMMAND" not in command.text]
    assert len(found) > 10
    prepare(tmp_path)
    with Shell(tmp_path) as shell:
        shell.run(Command("playerstate serve --data ./data --schema game.toml", 0, background=True))
        for command in found:
            text = f"{command.text} --help" if ENDLESS.match(command.text) else command.text
            shell.run(command._replace(text=text))
