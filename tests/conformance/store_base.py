"""What the suites of the store and of its changes stand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from builders import write
from conformance.suite import Suite
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.ports.replication import Arrivals
from playerstate.ports.store import Changes, Store

OTHER = Key("bob", "gold")


class StoreWithChanges(Store, Protocol):
    """Both ports on one set of rows."""

    @property
    def changes(self) -> Changes:
        """What the store makes known."""
        ...


class StoreTakingArrivals(StoreWithChanges, Arrivals, Protocol):
    """A store to which rows of other regions are brought."""


class OnAStore(Suite, ABC):
    race_steps = 20
    """How often each of several writers has to win: the faster the backend, the more it takes to make them meet."""

    scattered = ""
    """Why `keys` has an order of its own, if that is so: a declared gap."""

    drawn_in_runs = ""
    """Why rows that lie together are drawn together, if that is so: a declared gap."""

    machine_examples = 40
    """How many sequences of calls are compared with the model's; fewer where each call takes its time."""

    trims = True
    """Whether changes are trimmed here; where they go by themselves, nobody has to."""

    @pytest.fixture
    def ordered(self) -> None:
        """Asked for by the tests of the order of keys."""
        if self.scattered:
            pytest.xfail(self.scattered)

    @pytest.fixture
    def evenly_drawn(self) -> None:
        """Asked for by the tests of how samples are spread."""
        if self.drawn_in_runs:
            pytest.xfail(self.drawn_in_runs)

    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[StoreWithChanges]:
        """Open the store that lies at a path, or make it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "store"

    @pytest.fixture
    def store(self, path: Path) -> Iterator[StoreWithChanges]:
        with self.open(path) as store:
            yield store


class OnAStoreTakingArrivals(OnAStore):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[StoreTakingArrivals]:
        """Open the store that lies at a path, or make it."""


def chain(key: Key, length: int) -> list[Write]:
    """Writes of one row, each upon the one before."""
    writes = [write(key, 1)]
    for n in range(2, length + 1):
        writes.append(write(key, n, after=writes[-1]))
    return writes


def told(store: StoreWithChanges) -> list[tuple[Key, bytes | None, bytes]]:
    """Every change that the store tells of: the key, the row before and after."""
    return [(change.key, change.old, change.new) for change in store.changes.read(0, 10_000)]
