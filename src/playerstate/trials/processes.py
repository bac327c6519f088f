"""A region's processes, as whoever runs trials sees them: the node, its workers, its cache server.

Linux alone tells and allows what is needed here: `/proc`, and limits that are set on a process from outside.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from playerstate.backends.valkey.process import command_line, wait_until
from playerstate.client import RemoteNode, find_node
from playerstate.errors import StartRefused, Unavailable
from playerstate.runtime.crew import Role

ANSWER_S = 30.0
STOP_S = 40.0
ENDING_S = 10.0
"""How long workers may take that have lost their node."""
POLL_S = 0.02


def check_platform() -> None:
    """Raise `StartRefused` where faults cannot be inflicted."""
    if sys.platform != "linux":
        raise StartRefused("Trials on real processes need Linux: they read /proc, and set limits on running processes")


class RegionProcess:
    """A region's node in a process of its own, started and killed from here. What it logs goes to `log`.

    `unbidden` are the exit codes of nodes that were not ended from here.
    """

    def __init__(self, region: str, folder: Path, log: Path) -> None:
        self.region = region
        self.folder = folder
        self.unbidden: list[int] = []
        self._log = log
        self._node: subprocess.Popen[bytes] | None = None
        self._stopped: list[int] = []

    def start(self) -> None:
        """Start the node, unless it runs."""
        if self._alive():
            return
        command = [sys.executable, "-m", "playerstate.cli.main", "serve", "--data", str(self.folder)]
        with self._log.open("ab") as log:
            self._node = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C at a terminal is for the trials, which then end the node
            )

    def connect(self) -> RemoteNode:
        """The node, once it answers. Raises `Unavailable` if it does not."""
        deadline = time.monotonic() + ANSWER_S
        while (node := find_node(self.folder)) is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"the node of {self.region} does not answer {ANSWER_S:.0f} s after its start")
            self.start()
            time.sleep(POLL_S)
        return node

    def kill(self, *, workers: bool = False, cache: bool = False) -> None:
        """Kill -9 of the node, and of what belongs to it."""
        doomed = [*(self.workers() if workers else []), *([self.cache_pid()] if cache else [])]
        if self._node is not None and self._alive():
            self._node.kill()
        for pid in doomed:
            _send(pid, signal.SIGKILL)
        if self._node is not None:
            self._node.wait()
            self._node = None

    def kill_worker(self, role: Role) -> None:
        """Kill -9 of a worker."""
        for pid in self.workers(role):
            _send(pid, signal.SIGKILL)

    def kill_cache(self) -> None:
        """Kill -9 of the cache server."""
        _send(self.cache_pid(), signal.SIGKILL)

    def replace_with_zombie(self, role: Role) -> None:
        """Stop a worker, kill its node, and start another, whose worker works where the stopped one may yet."""
        self._stopped += (stopped := self.workers(role))
        for pid in stopped:
            _send(pid, signal.SIGSTOP)
        self.kill()
        self.start()

    def wake_zombies(self) -> None:
        """Have stopped workers go on."""
        stopped, self._stopped = self._stopped, []
        for pid in stopped:
            _send(pid, signal.SIGCONT)

    def limit_files(self, bytes_max: int | None) -> None:
        """Let no file of node and workers grow beyond a size, as on a full disk; None lifts it."""
        node = [self._node.pid] if self._node else []
        for pid in [*node, *self.workers()]:  # the node first: what it starts meanwhile is among the workers
            with suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                soft = hard if bytes_max is None else bytes_max
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    def workers(self, role: Role | None = None) -> list[int]:
        """The workers that run on the folder, also those that have lost their node."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if _is_worker(words, self.folder, role):
                        found.append(int(entry.name))
        return found

    def cache_socket(self) -> Path:
        """Where the cache server listens: in the folder, or, if that path is too long, where it says."""
        valkey = self.folder / "valkey"
        with suppress(OSError, msgspec.DecodeError, KeyError):
            return Path(msgspec.json.decode((valkey / "valkey.json").read_bytes())["socket"])
        return valkey / "valkey.sock"

    def cache_pid(self) -> int | None:
        """The cache server's process, if one runs."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "valkey" / "valkey.pid").read_text("ascii"))
            if f"valkey-server {self.cache_socket()}" in command_line(pid):
                return pid
        return None

    def stop(self) -> None:
        """End everything: the node in order if it can, then whatever is left."""
        self.wake_zombies()
        self.limit_files(None)
        if self._node is not None and self._alive():
            self._node.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._node.wait(STOP_S)
        wait_until(lambda: not self.workers(), ENDING_S)
        self.kill(workers=True, cache=True)

    def _alive(self) -> bool:
        if self._node is None:
            return False
        code = self._node.poll()
        if code is None:
            return True
        self.unbidden.append(code)
        self._node = None
        return False


def _is_worker(words: list[bytes], folder: Path, role: Role | None) -> bool:
    """Whether a command line is that of a folder's worker, of one role or of any."""
    if words[1:3] != [b"-m", b"playerstate.worker"] or words[4] != os.fsencode(folder):
        return False
    return role is None or words[3].decode() == role


def _send(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
