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
    deadline = time.monotonic() + WAIT_MAX_S
    while command_line(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.005)


def kill_if_left(pid: int, socket: str) -> None:
    if socket in command_line(pid):
        os.kill(pid, signal.SIGKILL)
