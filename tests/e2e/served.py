"""`playerstate serve` in a process of its own, for tests that stop it, kill it, or talk to it from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from playerstate.api import PlayerState
from playerstate.client import find_node

START_LIMIT_S = 30.0


class Served:
    """`playerstate serve` in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._options = options
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "playerstate.cli.main", "serve", "--data", str(self.folder)]
        command += self._options
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, *, everything: bool = False) -> None:
        """kill -9, and start again; with `everything`, the workers and the cache are killed too."""
        doomed = [self.process.pid, *(self._children() if everything else [])]
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = self._start()

    def _children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []

    def connect(self, region: str = "") -> PlayerState:
        """The node, or that of one of several regions, once it answers."""
        deadline = time.monotonic() + START_LIMIT_S
        while (node := find_node(self.folder / region)) is None:
            assert time.monotonic() < deadline, "the node does not answer"
            time.sleep(0.02)
        return node

    def stop(self) -> int:
        """SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
