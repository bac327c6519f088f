"""MiniStack, an emulator of AWS, in a process of its own on a free loopback port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

PYTHON = Path(sys.prefix) / "ministack" / "bin" / "python"
PROGRAM = Path(__file__).with_name("ministack_program.py")
START_MAX_S = 30.0


class Emulator:
    """A running emulator; `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "HOME": str(folder),
            "LOG_LEVEL": "WARNING",
        }
        with (folder / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-P", PROGRAM], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder
            )
        deadline = time.monotonic() + START_MAX_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"MiniStack does not answer; see {folder / 'ministack.log'}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/_ministack/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
