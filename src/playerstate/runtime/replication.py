"""The ways between regions' stores, where no managed service carries the rows: what DynamoDB's global tables do."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol

import msgspec
import structlog

from playerstate.core.model import Key
from playerstate.errors import InvariantViolated, Unavailable
from playerstate.ports.replication import Arrivals
from playerstate.ports.store import Change, Changes, Store
from playerstate.ports.stream import Checkpoints
from playerstate.stages.replicate import Replicate, arrivals_of

CARRIED_MAX = 2_000
"""How many changes a link takes up at once."""
HELD_MAX = 20_000
"""How many changes a link holds back while their time has not come; with a lag of a second, so many a second pass."""
COPIED_AT_ONCE = 500

log = structlog.get_logger(__name__)


class LinkSettings(msgspec.Struct, frozen=True):
    """What the way from one region to another is like. A change takes `lag_ms` and up to `jitter_ms` more.

    Nothing passes one that is `cut`; what waits is carried when it is healed.
    """

    lag_ms: int = 0
    jitter_ms: int = 0
    cut: bool = False


class Source(Protocol):
    """Another region's store, as a link reads it."""

    @property
    def changes(self) -> Changes:
        """Its changes."""
        ...

    @property
    def store(self) -> Store:
        """Its rows."""
        ...


class Link:
    """The way from one region to this one: asynchronous, in any order of keys, at least once, the latest of each row.

    A link that begins, or whose source has let go of changes that it had still to carry, first copies all rows that the
    source holds, other regions' too: a region that was restored finds its own past in them. `copied` says that it has.
    `waits` is how many of the source's changes lie before it, as far as it has looked, and `at_end` whether none do.
    """

    def __init__(
        self,
        source: str,
        target: str,
        open_source: Callable[[], Source],
        arrivals: Arrivals,
        checkpoints: Checkpoints,
        settings: Callable[[], LinkSettings],
        *,
        now_s: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self.name = link_name(source, target)
        self.source = source
        self._target = target
        self._open_source = open_source
        self._arrivals = arrivals
        self._checkpoints = checkpoints
        self._settings = settings
        self._now_s = now_s
        self._random = random or Random()  # noqa: S311 - jitter
        self._replicate = Replicate(source, arrivals)
        self._opened: Source | None = None
        self._held: deque[tuple[float, Change]] = deque()
        self.position = checkpoints.load(self.name)
        self._read_to = self.position
        self.copied = self.position > 0
        self.waits = 0
        self.at_end = False
        self._copying: tuple[int, Key] | None = None
        """From which of the source's changes on a copy is followed, and how far it has come."""

    def carry(self) -> int:
        """Carry what is due; how much that was. Raises `NotNow` if it could not be done."""
        with self._reading():
            source = self._opened = self._opened or self._open_source()
            head = source.changes.head()
        settings = self._settings()  # after the head: what is written after the way was changed travels as it says now
        self.waits = max(head - self.position, 0)
        if settings.cut:
            self.at_end = False
            return 0
        with self._reading():
            if self._read_to > head:  # the source's file is another one
                self._read_to, self.copied = 0, False
            if self.copied:
                self._take_up(source.changes, head, settings)
        copied = 0 if self.copied or self._held else self._copy_some(source, head)
        due = self._carry_due()
        self._note_progress()
        self.waits = max(head - self.position, 0)
        self.at_end = self.copied and not self.waits
        return copied + due

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """What is wrong with another region's store is no reason for this region to stop."""
        try:
            yield
        except InvariantViolated as exc:
            raise Unavailable(f"the store of {self.source} is damaged: {exc}") from exc

    def _carry_due(self) -> int:
        now = self._now_s()
        due = [change for at, change in self._held if at <= now]
        if due:
            with self._reading():
                arrivals = self._replicate.arrivals(due)
            self._arrivals.receive(arrivals)
            self._held = deque((at, change) for at, change in self._held if at > now)
        return len(due)

    def _copy_some(self, source: Source, head: int) -> int:
        """Bring the next of all that the source holds, but for this region's own rows; how many of them were news.

        What the source writes meanwhile stands in its changes, from the head on that it had when the copy was begun.
        """
        began_at, after = self._copying or (head, None)
        with self._reading():
            keys = source.store.keys(after, COPIED_AT_ONCE)
            found = [arrival for key, rows in source.store.load(keys).items() for arrival in arrivals_of(key, rows)]
        arrivals = [arrival for arrival in found if arrival.region != self._target]
        news = self._arrivals.receive(arrivals) if arrivals else 0
        if len(keys) == COPIED_AT_ONCE:
            self._copying = began_at, keys[-1]
        else:
            self.copied, self._copying, self._read_to = True, None, began_at
            if began_at:
                log.info("copied all rows of another region", source=self.source)
        return news

    def _take_up(self, changes: Changes, head: int, settings: LinkSettings) -> None:
        room = min(HELD_MAX - len(self._held), CARRIED_MAX, head - self._read_to)
        taken = changes.read(self._read_to, room) if room > 0 else []
        if taken and taken[0].position > self._read_to + 1:  # the source has let go of what comes next
            self.copied = False
            return
        now = self._now_s()
        for change in taken:
            self._read_to = change.position
            if change.region == self.source:
                lag_ms = settings.lag_ms + self._random.random() * settings.jitter_ms
                self._held.append((now + lag_ms / 1000, change))

    def _note_progress(self) -> None:
        """The checkpoint stands before the first change that is held back."""
        if not self.copied and not self._held:
            return
        position = min(change.position for _, change in self._held) - 1 if self._held else self._read_to
        if position != self.position:
            self._checkpoints.save(self.name, position)
            self.position = position


def link_name(source: str, target: str) -> str:
    """What a link is called among the checkpoints of its target."""
    return f"replicate:{source}:{target}"
