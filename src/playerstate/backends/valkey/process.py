"""A server process that outlives its parent, and how to tell for certain whether it still runs.

A pid in a file proves nothing: the process may be gone, and the number may name another by now. So a server
is started with a locked file open. The kernel keeps the lock for as long as the server lives, whatever became
of its parent, and drops it when the server ends, whatever the reason.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from playerstate.errors import Unavailable

END_TIMEOUT_S = 5.0
PAUSE_S = 0.005


class ServerProcess:
    """The process, if any, that holds the lock file of a folder.

    The files: `valkey.lock`, `valkey.pid` (written by the server), `valkey.log` with what it says, and
    `valkey.log.1` with what the one before it said.
    """

    def __init__(self, directory: Path) -> None:
        self._lock_path = directory / "valkey.lock"
        self._log_path = directory / "valkey.log"
        self.pid_path = directory / "valkey.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def runs(self) -> bool:
        """Whether a server of this folder lives, ours or one that an earlier process left."""
        if self._child is not None:
            if self._child.poll() is None:
                return True
            self._child = None
        try:
            lock = self._lock()
        except FileNotFoundError:
            return False  # the folder itself is gone
        except OSError as exc:
            raise Unavailable(f"The cache's folder cannot be used: {exc}") from exc
        if lock is None:
            return True
        os.close(lock)
        return False

    def start(self, command: Sequence[str]) -> None:
        """Start a server, which must not run yet. Raises `Unavailable` if it cannot be."""
        lock = None
        try:
            lock = self._lock()
            if lock is None:
                raise Unavailable(f"A cache server holds {self._lock_path} already")
            if self._log_path.exists():
                self._log_path.replace(self._log_path.with_suffix(".log.1"))
            with self._log_path.open("wb") as log:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,  # an interrupt at the terminal is for the node to answer
                )
        except OSError as exc:
            raise Unavailable(f"The cache server cannot be started: {exc}") from exc
        finally:
            if lock is not None:
                os.close(lock)

    def last_words(self) -> str:
        """The last line of the log, for messages."""
        lines = self._log_path.read_text("utf-8", "replace").splitlines() if self._log_path.exists() else []
        return lines[-1] if lines else "it said nothing"

    def wait_for_end(self) -> bool:
        """Wait until no server runs; False if one still does after `END_TIMEOUT_S`."""
        return wait_until(lambda: not self.runs(), END_TIMEOUT_S)

    def kill(self, title: str) -> None:
        """Kill the server that runs; one that is not our child, only if `title` is in its command line.

        Raises `Unavailable` if there is still one afterwards.
        """
        pid = self._child.pid if self._child is not None else self._recorded_pid()
        if pid is not None and (self._child is not None or title in command_line(pid)):
            with suppress(OSError):  # it may be ending by itself, or be another user's
                os.kill(pid, signal.SIGKILL)
        if not self.wait_for_end():
            raise Unavailable(f"The cache server that holds {self._lock_path} neither answers nor ends; end it by hand")

    def _recorded_pid(self) -> int | None:
        try:
            pid = int(self.pid_path.read_text("ascii"))
        except (OSError, ValueError):
            return None
        return pid if pid > 1 else None

    def _lock(self) -> int | None:
        """The open, locked file; None if somebody has it locked."""
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition holds before the time is up."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True


def command_line(pid: int) -> str:
    """The command line of a process; "" if there is none."""
    if Path("/proc/self").exists():
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
    else:
        asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
        raw = asked.stdout
    return os.fsdecode(raw.replace(b"\0", b" "))
