"""The graphs, each against the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from aws.neptune_server import NeptuneServer
from conformance.graph import SCHEMA, GraphSuite
from conformance.graph_looks import GraphLooksSuite
from playerstate.backends.aws.neptune import NeptuneGraph
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.backends.memory.graph import MemoryGraph


class TestMemoryGraph(GraphSuite, GraphLooksSuite):
    forgets = "memory: a graph ends with its process"

    def open(self, path: Path) -> AbstractContextManager[MemoryGraph]:
        return nullcontext(MemoryGraph())


class TestLadybugGraph(GraphSuite, GraphLooksSuite):
    def open(self, path: Path) -> AbstractContextManager[LadybugGraph]:
        return closing(LadybugGraph(path, SCHEMA, buffer_pool_bytes=64 * 1024 * 1024))


class TestNeptuneGraph(GraphSuite, GraphLooksSuite):
    @pytest.fixture(autouse=True)
    def server(self, neptune: NeptuneServer) -> None:
        self._server = neptune

    def open(self, path: Path) -> AbstractContextManager[NeptuneGraph]:
        return closing(NeptuneGraph(self._server.endpoint(), SCHEMA))
