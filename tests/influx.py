"""InfluxDB for the tests of one process: on free loopback ports, gone with the process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from playerstate.backends.aws.influx_http import InfluxServer
from waiting import wait_until

PROGRAM = shutil.which("influxd")

_CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
  logging-enabled = false
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[logging]
  level = "error"
"""


class Influx:
    """A running server. Databases of the tests come from `database`, so that none meets another's."""

    def __init__(self, folder: Path) -> None:
        self._numbers = count(1)
        port, rpc_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        configuration = folder / "influxdb.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, rpc_port=rpc_port))
        with (folder / "influxd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), "-config", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("INFLUXDB_")},
            )
        try:
            wait_until(self._answers, "influxd to answer")
        except BaseException:
            self.stop()
            raise

    def database(self, retention: str = "INF") -> str:
        """A new database that keeps points so long."""
        name = f"test_{next(self._numbers)}"
        self._ask(f'CREATE DATABASE "{name}" WITH DURATION {retention}')
        return name

    def server(self, database: str, **settings: Any) -> InfluxServer:
        """A client of a database."""
        return InfluxServer(self.url, database, **settings)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _ask(self, statement: str) -> None:
        answer = urllib3.request("POST", f"{self.url}/query?{urlencode({'q': statement})}")
        assert answer.status == 200, answer.data
        assert "error" not in answer.json()["results"][0], answer.data

    def _answers(self) -> bool:
        assert self._process.poll() is None, "influxd has ended"
        try:
            return urllib3.request("GET", f"{self.url}/ping", retries=False, timeout=5).status == 204
        except urllib3.exceptions.HTTPError:
            return False


def skip_without_influxd() -> None:
    """Skip a test where the server is not installed; `make test` installs it where it may."""
    if PROGRAM is None:
        pytest.skip("influxd is not installed; `make test` does that on Debian, as root")


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
