"""The worker processes of a node, as the node sees them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from playerstate.errors import Unavailable
from playerstate.runtime.consumers import Report
from playerstate.runtime.crew import Role
from playerstate.runtime.doorbell import Doorbell
from playerstate.runtime.logs import current_style
from playerstate.settings import Settings
from playerstate.wiring import doorbell_path
from playerstate.worker import HALTED

STOP_S = 30.0
"""How long a worker may take to finish its steps before it is killed, which costs nothing but repeated work."""

RESTART_PAUSE_S = 5.0
"""A worker that dies again is not started again at once: it may never start."""

log = structlog.get_logger(__name__)


class CrewHandle(Protocol):
    """A crew, here or in another process. `restarts` is how often it has died and been started again."""

    restarts: int

    def wake(self) -> None:
        """There may be something to do."""
        ...

    def report(self) -> Report:
        """What it has done, as far as is known."""
        ...

    def ensure_running(self) -> None:
        """Start it again if it has died."""
        ...

    def stop(self) -> None:
        """Have it finish what is under way, and end."""
        ...


class WorkerProcess:
    """A crew in a process of its own, started again when it dies. `first` is its report until it sends one."""

    def __init__(
        self,
        role: Role,
        folder: Path,
        region: str,
        cache_url: str,
        *,
        regional: bool,
        first: Report,
        settings: Callable[[], Settings] = Settings,
    ) -> None:
        self._role = role
        self._settings = settings
        beside = "regional" if regional else ""
        self._arguments = [role.value, str(folder), region, cache_url, beside, str(current_style())]
        self._doorbell = Doorbell(doorbell_path(folder, role))
        self._report = first
        self._not_before = 0.0
        self.restarts = 0
        self.process = self._start()

    def wake(self) -> None:
        """Ring its doorbell."""
        self._doorbell.ring()

    def report(self) -> Report:
        """What it reported last."""
        return self._report

    def ensure_running(self) -> None:
        """Start it again if it has died."""
        if self.process.poll() in (None, HALTED):
            return
        if time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + RESTART_PAUSE_S
            log.error("a worker has died and is started again", role=self._role, exit_code=self.process.returncode)
            self._hang_up()
            self.restarts += 1
            self.process = self._start()

    def stop(self) -> None:
        """Have it finish its steps; after a while, without."""
        self._hang_up()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self._doorbell.close()

    def _hang_up(self) -> None:
        """Close the pipe that tells it to go on."""
        if self.process.stdin:
            self.process.stdin.close()

    def _start(self) -> subprocess.Popen[bytes]:
        in_force = msgspec.json.encode(self._settings()).decode()
        process = subprocess.Popen(
            [sys.executable, "-m", "playerstate.worker", *self._arguments, in_force],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C at a terminal is for the node, which then ends this process
        )
        if process.stdout is None:
            raise Unavailable("a worker has no pipe to report on")
        self._reader = threading.Thread(target=self._read_reports, args=(process,), daemon=True)
        self._reader.start()
        return process

    def _read_reports(self, process: subprocess.Popen[bytes]) -> None:
        decode = msgspec.json.Decoder(Report).decode
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._report = decode(line)
