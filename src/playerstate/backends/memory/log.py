"""A list that grows at one end and is trimmed at the other: what streams and changes have in common."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Log(Generic[T]):
    """Items at the positions 1, 2, 3, ...; a position whose item was trimmed is never used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[T] = []
        self._trimmed = 0

    def append(self, items: Iterable[T]) -> int:
        """Append all items together; the position of the last."""
        added = list(items)  # taken before anything is appended: the source may fail half-way
        with self._lock:
            self._items += added
            return self._head()

    def read(self, after: int, limit: int) -> list[tuple[int, T]]:
        """The next items beyond a position, with their positions."""
        with self._lock:
            start = max(after - self._trimmed, 0)
            return list(enumerate(self._items[start : start + limit], self._trimmed + start + 1))

    def head(self) -> int:
        """The position of the last item that was ever appended."""
        with self._lock:
            return self._head()

    def trim(self, up_to: int) -> int:
        """Delete items up to a position; how many went."""
        with self._lock:
            going = min(max(up_to - self._trimmed, 0), len(self._items))
            del self._items[:going]
            self._trimmed += going
            return going

    def _head(self) -> int:
        return self._trimmed + len(self._items)
