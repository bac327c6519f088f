"""The real program, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from playerstate.client import RemoteNode, find_node

LIMIT_S = 60.0
COMMAND = [sys.executable, "-m", "playerstate.cli.main"]
ENVIRONMENT = {**os.environ, "COLUMNS": "200"}


class Ran(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document that it printed."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    def errors(self) -> list[Any]:
        """What it said on standard error, as JSON."""
        return [json.loads(line) for line in self.err.splitlines()]


def run(*arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> Ran:
    """Run a command to its end. A traceback is never an answer."""
    ran = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=LIMIT_S,
        env=ENVIRONMENT,
        cwd=cwd,
        check=False,
    )
    err = ran.stderr.decode()
    assert "Traceback" not in err, err
    return Ran(ran.returncode, ran.stdout.decode(), err)


class Program:
    """A command that runs until it is ended: `serve`, `watch`."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self.log = log
        with log.open("wb") as err:
            self.process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=err, env=ENVIRONMENT)

    def end(self, *signals: signal.Signals) -> int:
        """Send the signals, and wait for the exit code."""
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    def abandon(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Served(Program):
    """`playerstate serve` on a folder, from when it answers."""

    def __init__(self, data: Path, *arguments: str) -> None:
        super().__init__("serve", "--data", str(data), *arguments, log=data.with_suffix(".log"))
        self.data = data
        deadline = time.monotonic() + LIMIT_S
        while (node := find_node(data)) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the node does not answer"
            time.sleep(0.02)
        self.node: RemoteNode = node

    def run(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a command on the folder."""
        return run(*arguments, "--data", str(self.data), stdin=stdin)

    def abandon(self) -> None:
        """End it, whatever state it is in."""
        self.node.close()
        super().abandon()
