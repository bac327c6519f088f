"""Parts that are made when they are first called: a client that only sends opens no graph."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Late:
    """Whatever `make` makes, from the first call on. If that fails the call does, and the next one tries again."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:  # some may be opened only once in a process
            part = self._make()
        return getattr(part, name)


def late(make: Callable[[], T]) -> T:
    """A stand-in for what `make` makes, and keeps: a cached property of the wiring."""
    return cast("T", _Late(make))
