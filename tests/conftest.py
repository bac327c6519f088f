"""Hypothesis profiles: `HYPOTHESIS_PROFILE=thorough` looks much further, `ci` does the same on every run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from influx import Influx, skip_without_influxd
from ministack import MiniStack, skip_without_ministack
from playerstate.backends.valkey.server import ValkeyServer
from valkey_cluster import Cluster, running_cluster

if TYPE_CHECKING:
    from aws.neptune_server import NeptuneServer

# the suites are imported by tests, and would otherwise fail with a bare "AssertionError"
pytest.register_assert_rewrite("conformance")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("COLUMNS", None)  # how wide a table is must not hang on who runs the tests, and in which process

# several classes inherit one law, which Hypothesis would take for a mistake; a slow machine is no failure
_EASY = (HealthCheck.differing_executors, HealthCheck.too_slow)

settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=_EASY)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=3000)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """An emulator of AWS that all tests of a process share: each makes things of names of its own."""
    skip_without_ministack()
    emulator = MiniStack(tmp_path_factory.mktemp("ministack"))
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """A server of InfluxDB that all tests of a process share: each makes a database of its own."""
    skip_without_influxd()
    server = Influx(tmp_path_factory.mktemp("influx"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries that all tests of a process share: each leaves the slots where they were."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def neptune_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NeptuneServer]:
    """A stand-in for Neptune that all tests of a process share; `neptune` is an empty one."""
    from aws.neptune_server import NeptuneServer  # here, since the suites must be registered before they are imported
    from conformance.graph import SCHEMA

    server = NeptuneServer(tmp_path_factory.mktemp("neptune"), set(SCHEMA.edge_keys().values()))
    yield server
    server.close()


@pytest.fixture
def neptune(neptune_server: NeptuneServer) -> NeptuneServer:
    """The stand-in, with nothing in it."""
    neptune_server.empty()
    return neptune_server


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey server that all tests share: each clears it, or speaks of players of its own."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"), maxmemory_mb=64, marker="tests")
    server.start()
    yield server.url
    server.stop()
