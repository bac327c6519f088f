"""How a node runs its followers: as threads of its own, or as a process beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from playerstate.core.answers import StageStats
from playerstate.errors import Unavailable
from playerstate.follower import Followers, Report
from playerstate.runtime.freshness import Freshness

STOP_S = 30.0
"""How long a follower may take to finish its steps before it is killed, which costs nothing but repeated work."""

log = structlog.get_logger(__name__)


class FollowerHandle(Protocol):
    """What a node needs of its followers."""

    def wake(self) -> None:
        """Tell them that there are changes."""
        ...

    def report(self) -> Report:
        """What they have done, as far as is known."""
        ...

    def stop(self) -> None:
        """Have them finish their steps and end."""
        ...

    def ensure_running(self) -> None:
        """Start them again if they have died."""
        ...


class FollowerThreads:
    """The followers in this process."""

    def __init__(self, followers: Followers) -> None:
        self._followers = followers
        self.wake = followers.wake
        self.report = followers.report
        self.stop = followers.stop
        followers.start()

    def ensure_running(self) -> None:
        """Threads do not die alone."""


class FollowerProcess:
    """The followers in a process of their own, started again when it dies."""

    def __init__(self, folder: Path, region: str, cache_url: str) -> None:
        self._arguments = [str(folder), region, cache_url]
        self._report = Report({"project": StageStats(), "audit": StageStats()}, Freshness().buckets(), alive=True)
        self._process = self._start()

    def wake(self) -> None:
        """There are changes. A full pipe says so already."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._stdin(), b".")

    def report(self) -> Report:
        """What it reported last."""
        return self._report

    def ensure_running(self) -> None:
        """Start it again if it has died."""
        if self._process.poll() is not None:
            log.error("the follower has died and is started again", exit_code=self._process.returncode)
            self._hang_up()
            self._process = self._start()

    def stop(self) -> None:
        """Have it finish its steps; after a while, without."""
        process = self._process
        self._hang_up()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join()

    def _hang_up(self) -> None:
        """Close the pipe that tells it to go on."""
        if self._process.stdin:
            self._process.stdin.close()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "playerstate.follower", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C at a terminal is for the node, which then ends this process
        )
        if process.stdin is None:
            raise Unavailable("the follower has no pipe")
        os.set_blocking(process.stdin.fileno(), False)
        self._reader = threading.Thread(target=self._read_reports, args=(process,), daemon=True)
        self._reader.start()
        return process

    def _read_reports(self, process: subprocess.Popen[bytes]) -> None:
        decode = msgspec.json.Decoder(Report).decode
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._report = decode(line)

    def _stdin(self) -> int:
        if self._process.stdin is None or self._process.stdin.closed:
            raise BrokenPipeError
        return self._process.stdin.fileno()
