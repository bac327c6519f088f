"""MiniStack, an emulator of AWS, for the tests of one process: on a free loopback port, gone with the process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from playerstate.backends.aws.clients import Clients
from waiting import wait_until

PYTHON = Path(sys.prefix) / "ministack" / "bin" / "python"
PROGRAM = Path(__file__).parents[1] / "examples" / "aws_demo" / "ministack_program.py"
REGION = "us-east-1"


class MiniStack:
    """A running emulator. Names of what tests make there come from `name`, so that none meets another's."""

    def __init__(self, folder: Path) -> None:
        self._numbers = count(1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "HOME": str(folder),
            "LOG_LEVEL": "WARNING",
        }
        with (folder / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-P", PROGRAM], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder
            )
        try:
            wait_until(self._answers, "MiniStack to answer")
        except BaseException:
            self.stop()
            raise

    def name(self, prefix: str) -> str:
        """A name that nothing has had yet."""
        return f"{prefix}-{os.getpid()}-{next(self._numbers)}"

    def clients(self, region: str = REGION) -> Clients:
        """Clients of the emulator."""
        return Clients(region, endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test")

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "MiniStack has ended"
        try:
            with urlopen(f"{self.url}/_ministack/health", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False


def skip_without_ministack() -> None:
    """Skip a test where the emulator is not installed; `make test` installs it."""
    if not PYTHON.exists():
        pytest.skip("MiniStack is not installed; `make test` does that")
