"""Runs the commands of the documentation, as a reader would, and looks at their exit codes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import playerstate
from playerstate.client import find_node
from playerstate.deployment import Deployment

LIMIT_S = 60.0


class Command(NamedTuple):
    """A command line, and what its comment says that it ends with."""

    text: str
    exit_code: int
    background: bool


def commands(block: str) -> Iterator[Command]:
    """The lines that run `playerstate`, or wait for it; one whose quotation is not closed goes on in the next."""
    lines = iter(block.splitlines())
    for line in lines:
        whole = line
        while not _is_closed(whole):
            whole = f"{whole}\n{next(lines)}"
        text, _, comment = whole.partition("  #")
        if re.search(r"(^|\| )playerstate |^until ", text):
            background = text.rstrip().endswith("&")
            yield Command(text.strip().removesuffix("&").strip(), _exit_code(comment), background)


def _is_closed(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def _exit_code(comment: str) -> int:
    said = re.search(r"exit code (\d+)", comment)
    if said:
        return int(said[1])
    return 1 if re.search(r"refused|rejected", comment) else 0


class Shell:
    """A reader's shell in a folder, where `playerstate` is the one under test.

    At the end what runs in the background is told to stop, and has to end well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".bin"
        programs.mkdir()
        program = programs / "playerstate"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m playerstate.cli.main "$@"\n', "utf-8")
        program.chmod(0o755)
        source = str(Path(playerstate.__file__).parents[1])
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "PYTHONPATH": source}
        self._background: list[tuple[Command, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for command, process in reversed(self._background):
            process.terminate()
            code = process.wait(LIMIT_S)
            if error is None:
                assert code == command.exit_code, command

    def run(self, command: Command) -> None:
        """Run a command to its end, or in the background; a node is waited for until it answers."""
        if command.background:
            arguments = ["bash", "-c", f"exec {command.text}"]
            process = subprocess.Popen(arguments, cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL)
            self._background.append((command, process))
            if command.text.startswith("playerstate serve"):
                self.wait_until(lambda: self._is_served(command), "the node does not answer")
            return
        ended = subprocess.run(
            ["bash", "-c", command.text],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert ended.returncode == command.exit_code, f"{command}\n{ended.stdout}{ended.stderr}"

    def still_running(self, name: str) -> list[subprocess.Popen[bytes]]:
        """The background processes of a command that have not ended by themselves."""
        return [
            process
            for command, process in self._background
            if command.text.startswith(f"playerstate {name}") and process.poll() is None
        ]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, up to a limit."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    def _is_served(self, command: Command) -> bool:
        """Whether the node answers, or those of all regions."""
        words = shlex.split(command.text)
        data = self.folder / (words[words.index("--data") + 1] if "--data" in words else "data")
        deployment = Deployment(data)
        if "--regions" in words and not deployment.exists():
            return False
        folders = [data / name for name in deployment.plan().living()] if deployment.exists() else [data]
        nodes = [find_node(folder) for folder in folders]
        for node in nodes:
            if node is not None:
                node.close()
        return None not in nodes
