"""How far what was sent has come."""

from __future__ import annotations

from collections import deque

from playerstate.ports.store import Changes
from playerstate.ports.stream import Checkpoints, Stream


class Progress:
    """Counts the updates of one sender, who is the only one, that are in the cache for certain.

    An update is, when apply's checkpoint has passed its record, and project's the changes that there were then.
    """

    def __init__(self, stream: Stream, changes: Changes, checkpoints: Checkpoints) -> None:
        self._stream = stream
        self._changes = changes
        self._checkpoints = checkpoints
        self._on_stream: deque[tuple[int, int]] = deque()
        self._in_changes: deque[tuple[int, int]] = deque()
        self.sent = 0
        self._cached = 0

    def add(self, n: int) -> None:
        """So many more updates have been sent."""
        self.sent += n
        self._on_stream.append((self._stream.head(), self.sent))

    def cached(self) -> int:
        """How many of them are in the cache."""
        applied = _pass(self._on_stream, self._checkpoints.load("apply"))
        if applied is not None:
            self._in_changes.append((self._changes.head(), applied))
        cached = _pass(self._in_changes, self._checkpoints.load("project"))
        if cached is not None:
            self._cached = cached
        return self._cached


def _pass(waiting: deque[tuple[int, int]], position: int) -> int | None:
    """Drop what lies up to a position; the count that stood with the last of it, None if nothing did."""
    count = None
    while waiting and waiting[0][0] <= position:
        count = waiting.popleft()[1]
    return count
