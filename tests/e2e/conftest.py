from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.program import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node in a process of its own, on a new folder; it serves the tests of a module."""
    node = Served(tmp_path_factory.mktemp("served") / "data")
    yield node
    node.abandon()
