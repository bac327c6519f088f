"""How to look at Valkey servers that are tested."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.parse import unquote

import redis

from playerstate.backends.valkey.process import command_line
from playerstate.backends.valkey.server import ValkeyServer

WAIT_MAX_S = 60.0


def client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def socket_of(server: ValkeyServer) -> Path:
    return Path(unquote(server.url.removeprefix("unix://")))


def pid_of(server: ValkeyServer) -> int:
    with client_of(server.url) as client:
        return int(client.info("server")["process_id"])


def told(server: ValkeyServer) -> str | None:
    with client_of(server.url) as client:
        return client.get("told")


def wait_for_death(pid: int) -> None:
    """Wait until the process has let go of all it held. Its command line is gone some time before its files are."""
    deadline = time.monotonic() + WAIT_MAX_S
    while command_line(pid) or not _all_threads_ended(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.005)


def _all_threads_ended(pid: int) -> bool:
    """Whether nothing of the process is left, but for a zombie that waits for its parent."""
    for stat in Path("/proc").glob(f"{pid}/task/*/stat"):
        try:
            state = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        except OSError:  # ended between the two looks
            continue
        if state not in {"Z", "X"}:
            return False
    return True


def kill_if_left(pid: int, socket: str) -> None:
    if socket in command_line(pid):
        os.kill(pid, signal.SIGKILL)
