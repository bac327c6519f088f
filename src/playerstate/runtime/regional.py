"""Consumers that only a region with others beside it has: what carries their rows here, and what resolves conflicts."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Protocol

import msgspec
import structlog

from playerstate.core.answers import StageStats
from playerstate.core.model import Identity, Key, Stage
from playerstate.core.resolution import RESOLVER
from playerstate.core.wire import Call, decode_call, encode_call
from playerstate.errors import InvalidUpdate, InvariantViolated, PlayerStateError, Unavailable
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Queue
from playerstate.ports.replication import Arrivals
from playerstate.ports.store import Change, Changes, Store
from playerstate.ports.stream import Checkpoints
from playerstate.runtime.consumers import VISIBILITY_S, Report, dead_message
from playerstate.stages.replicate import Replicate, arrivals_of
from playerstate.stages.resolve import Resolve

CARRIED_MAX = 2_000
"""How many changes a link takes up at once."""
HELD_MAX = 20_000
"""How many changes a link holds back while their time has not come; with a lag of a second, so many a second pass."""
COPIED_AT_ONCE = 500
CALLS_MAX = 200
ATTEMPTS_MAX = 12
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.2, 60.0

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
            self._replicate.handle(due)
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


def _sweep_name(retired: Iterable[str]) -> str:
    """What a look at all keys is called among the checkpoints, by whose retirement has called for it."""
    return f"sweep:{','.join(sorted(retired))}"


class ReplicateConsumer:
    """Other regions' changes -> this region's store, over all links that lead here.

    `arrived` is called when rows have come. One link that fails does not hold up the others.
    """

    name: Stage = "replicate"
    linger_s = 0.0
    batch_max = CARRIED_MAX

    def __init__(self, links: Callable[[], Mapping[str, Link]], arrived: Callable[[], None]) -> None:
        self.stats = StageStats()
        self._links = links
        self._arrived = arrived

    def step(self) -> int:
        """Carry what is due on every link."""
        carried = 0
        for link in self._links().values():
            try:
                carried += link.carry()
            except InvariantViolated:
                raise  # of this region's own store
            except PlayerStateError as exc:
                self.stats.failures += 1
                self.stats.last_error = f"{link.source}: {exc}"
        if carried:
            self.stats.processed += carried
            self._arrived()
        return carried

    def tell(self, report: Report) -> None:
        """How much waits before each link."""
        report.links = {link.source: link.waits for link in self._links().values()}


class ResolveConsumer:
    """The resolver's queue -> resolve. What changed under its hands comes again later, a bounded number of times.

    When a region has been retired, it looks at every key once: some of them may hold what only that region has said.
    As long as `waits_for` names something, nothing is resolved.
    """

    name: Stage = "resolve"
    linger_s = 0.1
    batch_max = CALLS_MAX

    def __init__(
        self,
        queue: Queue,
        resolve: Resolve,
        checkpoints: Checkpoints,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        waits_for: Callable[[], str] = str,
        random: Random | None = None,
    ) -> None:
        self.stats = StageStats()
        self._waits_for = waits_for
        self._queue = queue
        self._resolve = resolve
        self._checkpoints = checkpoints
        self._swept = _sweep_name(())
        self._sweeping: tuple[str, Key | None] = ("", None)
        self._dead_letters = dead_letters
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter

    def step(self) -> int:
        """Take the next calls, and some of the keys that have to be looked at."""
        if self._waits_for():
            return 0
        swept = self._sweep()
        messages = self._queue.receive(self.batch_max, visibility_s=VISIBILITY_S)
        if not messages:
            return swept
        calls: dict[Key, Call] = {}
        for message in messages:
            try:
                call = decode_call(message.body)
                self._resolve.check(call.key)
            except InvalidUpdate as exc:
                self._put_aside(message.body, exc.code, str(exc))
            else:
                calls[call.key] = max(call, calls.get(call.key, call), key=lambda call: call.attempts)
        resolved = self._resolve.handle(list(calls))
        self._tell(resolved.overspent)
        self._retry([calls[key] for key in resolved.again])
        self._queue.delete([message.receipt for message in messages])
        self.stats.processed += len(messages)
        return len(messages) + swept

    def tell(self, report: Report) -> None:
        """Nothing that its stats do not say."""

    def _sweep(self) -> int:
        """Look at the next keys, if a retirement has called for that; how many."""
        name = _sweep_name(self._resolve.retired)
        if name == self._swept or self._checkpoints.load(name):
            self._swept = name
            return 0
        sweeping, after = self._sweeping
        keys = self._resolve.keys(after if sweeping == name else None, self.batch_max)
        if keys:
            resolved = self._resolve.handle(keys)
            self._tell(resolved.overspent)
            self._retry([Call(*key) for key in resolved.again])
            self._sweeping = name, keys[-1]
        else:
            self._checkpoints.save(name, 1)
        return len(keys)

    def _tell(self, overspent: Mapping[Key, Mapping[str, int]]) -> None:
        """Put what is below its minimum where an operator finds it, once a key."""
        for key, below in overspent.items():
            log.warning("more was spent than there was", key=key.state_key, below=sum(below.values()))
            body, how_far = encode_call(key), ", ".join(f"{item or 'it'} by {n}" for item, n in below.items())
            reason = f"{key} is below its minimum ({how_far}): a retired region had spent what nobody knew of"
            self._put_aside(body, "overspent", reason, key)

    def _retry(self, calls: Sequence[Call]) -> None:
        for call in calls:
            attempts = call.attempts + 1
            if attempts >= ATTEMPTS_MAX:
                reason = "The rows kept changing under the resolver"
                self._put_aside(encode_call(call.key), "too_many_attempts", reason, call.key)
            else:
                delay_s = min(BACKOFF_MIN_S * 2**attempts, BACKOFF_MAX_S) * (0.5 + self._random.random())
                self._queue.send([encode_call(call.key, attempts)], delay_s=delay_s)

    def _put_aside(self, body: bytes, code: str, reason: str, key: Key | None = None) -> None:
        letter = dead_message(self.name, body, code, reason, self._clock.now_ms())
        if key is not None:  # so that it is found, and goes, with the player
            letter = msgspec.structs.replace(letter, identity=Identity(RESOLVER, 0, *key))
        self._dead_letters.put([letter])
