"""Workers as a container runs them: `playerstate worker`, in processes of their own, on the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ministack import MiniStack


def ministack_environment(ministack: MiniStack) -> dict[str, str]:
    """How a process finds the emulator."""
    return {"AWS_ENDPOINT_URL": ministack.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class WorkerProcess:
    """A worker of a stage. What it says goes to files in `folder`."""

    def __init__(self, stage: str, url: str, ministack: MiniStack, folder: Path, *more: str) -> None:
        self.stage = stage
        folder.mkdir(exist_ok=True)
        self._out, self._err = folder / f"{stage}.out", folder / f"{stage}.err"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PLAYERSTATE_"))
        }
        environment |= ministack_environment(ministack)
        command = [sys.executable, "-m", "playerstate.cli.main", "worker", stage, "--url", url, *more]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=folder)

    @property
    def errors(self) -> str:
        """All that it has said on standard error."""
        return self._err.read_text()

    @property
    def events(self) -> list[str]:
        """The events that it has logged."""
        return [json.loads(line)["event"] for line in self._err.read_text().splitlines()]

    def total(self, metric: str) -> int:
        """What the lines for CloudWatch that it has written add up to."""
        documents: list[dict[str, Any]] = [json.loads(line) for line in self._out.read_text().splitlines()]
        return sum(int(document.get(metric, 0)) for document in documents)

    def is_working(self) -> bool:
        """Whether it has started. Fails if it has ended."""
        assert self.process.poll() is None, self.errors
        return "working" in self._err.read_text()

    def abandon(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
