"""A Valkey server that a killed node left: the next node takes it over, or ends it, and never anything else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.valkey_servers import client_of, pid_of, told, wait_for_death
from playerstate.backends.valkey import server as server_module
from playerstate.backends.valkey.cache import MARKER_KEY
from playerstate.backends.valkey.process import command_line
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.errors import StartRefused


def test_adopts_after_kill(make_server: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """A server whose node was killed serves the next node, with what it holds and the new limit, and ends with it."""
    url = killed_node()
    server = make_server(maxmemory_mb=32)
    server.start()
    assert server.url == url
    assert told(server) == "before the node was killed"
    with client_of(url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(32 * 1024 * 1024)}
    assert server.ensure_running() is False
    pid = pid_of(server)
    server.stop()
    wait_for_death(pid)


def test_adopted_server_is_restarted(make_server: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """An adopted server that dies is restarted as any other."""
    url = killed_node()
    server = make_server()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    assert server.ensure_running() is True
    assert server.url == url
    assert told(server) is None


def test_other_marker(make_server: Callable[..., ValkeyServer], killed_node: Callable[..., str]) -> None:
    """A server that caches something else is ended, and nothing of it is seen."""
    with client_of(killed_node(marker="another store")) as client:
        pid = client.info("server")["process_id"]
    server = make_server()
    server.start()
    wait_for_death(pid)
    assert told(server) is None


def test_lost_marker_returns(make_server: Callable[..., ValkeyServer]) -> None:
    """The marker may be evicted; the supervisor's next round puts it back, so that the next node adopts."""
    server = make_server()
    server.start()
    with client_of(server.url) as client:
        client.flushall()
        server.ensure_running()
        assert client.get(MARKER_KEY) == "mine"


def test_silent_orphan(
    make_server: Callable[..., ValkeyServer], killed_node: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that a killed node left, and that does not answer, is replaced."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(server_module, "START_TIMEOUT_S", 1.5)
    with client_of(killed_node()) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    server = make_server()
    server.start()
    wait_for_death(pid)
    assert told(server) is None


def test_orphan_that_cannot_be_told_apart(
    make_server: Callable[..., ValkeyServer],
    killed_node: Callable[..., str],
    bystander: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Where a server holds the folder, does not answer, and cannot be named, nothing is killed: a person has to."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(server_module, "START_TIMEOUT_S", 1.5)
    monkeypatch.setattr("playerstate.backends.valkey.process.END_TIMEOUT_S", 0.1)
    with client_of(killed_node()) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    (tmp_path / "valkey/valkey.pid").write_text(str(bystander.pid))
    with pytest.raises(StartRefused, match=r"valkey\.lock"):
        make_server().start()
    assert bystander.poll() is None
    assert command_line(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)


@pytest.mark.parametrize("content", ["", "garbage", "-1", "0", "1", "99999999999999999999", "12\n34", "\x00"])
def test_garbage_in_pid_file(make_server: Callable[..., ValkeyServer], tmp_path: Path, content: str) -> None:
    """What stands in the pid file does not matter to a start."""
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey/valkey.pid").write_text(content)
    server = make_server()
    server.start()
    assert told(server) is None


def test_stale_pid_file(
    make_server: Callable[..., ValkeyServer], tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    """A pid that was given to another process meanwhile is left alone, by start, restart and stop."""
    (tmp_path / "valkey").mkdir()
    pid_file = tmp_path / "valkey/valkey.pid"
    pid_file.write_text(str(bystander.pid))
    (tmp_path / "valkey/valkey.sock").touch()
    server = make_server()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    pid_file.write_text(str(bystander.pid))
    assert server.ensure_running() is True
    pid_file.write_text(str(bystander.pid))
    server.stop()
    assert bystander.poll() is None
