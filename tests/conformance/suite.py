"""What the suites of all ports share.

A suite is the list of a port's guarantees, one test each. A backend's test class inherits it and says how to open the
backend; what a backend cannot do by its nature it declares, with the reason, and the report shows it.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar, overload

import pytest

T = TypeVar("T")

WAIT_MAX_S = 60.0
WALK_MAX = 10_000


class Suite:
    """The base of every suite."""

    forgets = ""
    """Why the backend keeps nothing beyond its process, if that is so: a declared gap."""

    @pytest.fixture
    def durable(self) -> None:
        """Asked for by the tests of what outlives a process."""
        if self.forgets:
            pytest.xfail(self.forgets)

    keeps = ""
    """Why the backend deletes nothing when it is asked to, if that is so: a declared gap."""

    @pytest.fixture
    def trimming(self) -> None:
        """Asked for by the tests of what is trimmed."""
        if self.keeps:
            pytest.xfail(self.keeps)

    def crashed(self, path: Path) -> Path:
        """Where what a crash of the process would leave now can be opened."""
        return crashed_copy(path)


class BrokenInputError(Exception):
    """Raised by `Broken`."""


class Broken(Sequence[T]):
    """Input that fails after its last good item: whatever takes it has to take nothing."""

    def __init__(self, *items: T) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items) + 1

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, int) and index >= len(self._items):
            raise BrokenInputError
        return self._items[index]


def crashed_copy(path: Path) -> Path:
    """The files as a crash of the process would leave them now; a path to open them by."""
    folder = path.parent.with_name(f"{path.parent.name}-after-the-crash")
    shutil.copytree(path.parent, folder)
    return folder / path.name


def run_together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run every task in a thread of its own, switching between them as often as can be; their results."""
    start = Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait(WAIT_MAX_S)
        return task()

    with _eager_switching(), ThreadPoolExecutor(len(tasks)) as pool:
        return [done.result(WAIT_MAX_S) for done in [pool.submit(run, task) for task in tasks]]


def walk(page_after: Callable[[T | None], Sequence[T]], limit: int) -> list[T]:
    """All that there is, in pages of at most `limit`, each of which goes on after the last item of the one before."""
    seen: list[T] = []
    while page := page_after(seen[-1] if seen else None):
        assert len(page) <= limit
        seen += page
        assert len(seen) <= WALK_MAX, "the pages do not end"
    return seen


def until(condition: Callable[[], bool], what: str) -> Iterator[None]:
    """Go round until the condition holds; fail when that takes too long."""
    deadline = time.monotonic() + WAIT_MAX_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        yield


@contextmanager
def _eager_switching() -> Iterator[None]:
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
