from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import pytest

from backends.valkey_servers import client_of, kill_if_left
from playerstate.backends.valkey.server import ValkeyServer

NODE = """
import sys, time
from pathlib import Path
from playerstate.backends.valkey.server import ValkeyServer

server = ValkeyServer(Path(sys.argv[1]), maxmemory_mb=16, marker=sys.argv[2])
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_server(tmp_path: Path, stack: ExitStack) -> Callable[..., ValkeyServer]:
    """Makes servers of one folder, which are stopped at the end."""

    def make_server(
        directory: Path = tmp_path / "valkey", *, maxmemory_mb: int = 16, marker: str = "mine"
    ) -> ValkeyServer:
        server = ValkeyServer(directory, maxmemory_mb=maxmemory_mb, marker=marker)
        stack.callback(server.stop)
        return server

    return make_server


@pytest.fixture
def killed_node(tmp_path: Path, stack: ExitStack) -> Callable[..., str]:
    """Has a node start a server, tell it something, and be killed; the URL of the server that it leaves."""

    def killed_node(directory: Path = tmp_path / "valkey", *, marker: str = "mine") -> str:
        node = subprocess.Popen([sys.executable, "-c", NODE, directory, marker], stdout=subprocess.PIPE, text=True)
        with node:
            assert node.stdout is not None
            url = node.stdout.readline().strip()
            node.kill()
        with client_of(url) as client:
            client.set("told", "before the node was killed")
            stack.callback(kill_if_left, client.info("server")["process_id"], unquote(url.removeprefix("unix://")))
        return url

    return killed_node


@pytest.fixture
def bystander(stack: ExitStack) -> subprocess.Popen[bytes]:
    """A process that is nobody's business."""
    process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
    stack.callback(process.kill)
    return process
