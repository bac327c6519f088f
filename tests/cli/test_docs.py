"""docs/cli.md tells of every command and option, and of none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from playerstate.cli.common import ExitCode
from playerstate.cli.main import app

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """All commands with their full names, groups left out."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for part, inner in command.commands.items():
        yield from commands(inner, f"{name} {part}")


COMMANDS = dict(commands(typer.main.get_command(app), "playerstate"))
SECTIONS = dict(re.findall(r"^#{2,3} `(playerstate [^`]*)`$(.*?)(?=^#{2,3} |\Z)", DOCUMENT, re.M | re.S))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_told_of(name: str) -> None:
    """In its command's own section, and no option is told of that the command does not take."""
    options = {
        option
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
    table = "".join(line for line in SECTIONS[name].splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(--[a-z-]+)", table.replace("`--file -`", ""))) == options - {"--help"}


def test_every_section_is_a_command() -> None:
    """Or a group of some."""
    for title in SECTIONS:
        assert any(name == title or name.startswith(f"{title} ") for name in COMMANDS), title


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_gives_an_example_and_takes_json(name: str) -> None:
    """Its help shows how it is called; programs can read what it says."""
    command = COMMANDS[name]
    assert "Example" in (command.help or "")
    assert f"{name} " in (command.help or "")
    assert any("--json" in parameter.opts for parameter in command.params)


def test_exit_codes_are_told_of() -> None:
    """Every one of them."""
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \|", DOCUMENT, re.M), code
