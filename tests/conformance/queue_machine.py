"""A queue beside a model of it that is too plain to be wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import NOW_MS
from playerstate.backends.memory.clock import ManualClock
from playerstate.ports.clock import Clock

if TYPE_CHECKING:
    from conformance.queue import QueueWithDead

QUEUE_MACHINE_SETTINGS = settings(max_examples=50, stateful_step_count=40, deadline=None)
EMULATOR_SETTINGS = settings(max_examples=5, stateful_step_count=25, deadline=None)

ATTEMPTS_MAX = 2
HIDDEN_FACTOR = 600


@dataclass
class Waiting:
    visible_at_ms: int = 0
    attempt: int = 0


Open: TypeAlias = "Callable[[Path, Clock, int], AbstractContextManager[QueueWithDead]]"


class QueueMachine(RuleBasedStateMachine):
    """Sends, receives, deletes and waits; bodies are unique, and name the model's messages.

    On a queue with a clock of its own nobody waits, and what was received stays hidden.
    """

    def __init__(self, open_queue: Open, *, own_clock: bool) -> None:
        super().__init__()
        self._own_clock = own_clock
        self._folder = tempfile.TemporaryDirectory()
        self._clock = ManualClock(NOW_MS)
        self._opened = open_queue(Path(self._folder.name) / "queue", self._clock, ATTEMPTS_MAX)
        self._queue = self._opened.__enter__()
        self._sent = 0
        self._waiting: dict[bytes, Waiting] = {}
        self._dead: set[bytes] = set()
        self._receipts: list[tuple[str, bytes, int]] = []

    @rule(n=st.integers(1, 4))
    def send(self, n: int) -> None:
        """A few messages."""
        bodies = [b"%d" % number for number in range(self._sent, self._sent + n)]
        self._sent += n
        self._queue.send(bodies)
        self._waiting.update((body, Waiting()) for body in bodies)

    @rule(limit=st.sampled_from([1, 2, 10]), visibility_s=st.integers(1, 2))
    def receive(self, limit: int, visibility_s: int) -> None:
        """Some of the visible messages, each at most once, and as many as there are within the limit."""
        now_ms = self._clock.now_ms()
        visible = {body for body, message in self._waiting.items() if message.visible_at_ms <= now_ms}
        visibility_s *= HIDDEN_FACTOR if self._own_clock else 1
        spent = {body for body in visible if self._waiting[body].attempt == ATTEMPTS_MAX}
        received = self._queue.receive(limit, visibility_s=visibility_s)
        bodies = {message.body for message in received}
        assert len(received) == len(bodies) == min(limit, len(visible - spent))
        assert bodies <= visible - spent
        for message in received:
            waiting = self._waiting[message.body]
            waiting.attempt += 1
            waiting.visible_at_ms = now_ms + visibility_s * 1000
            assert message.attempt == waiting.attempt
            self._receipts.append((message.receipt, message.body, message.attempt))
        # when a message that is due to die does so, is the queue's affair: at the latest when all are asked for
        self._bury(spent & set(self._queue.dead()))
        assert limit <= len(visible - spent) or not spent & self._waiting.keys()

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Some receipts of messages still hidden, and any that newer ones have replaced."""
        now_ms = self._clock.now_ms()
        usable = [one for one in self._receipts if self._is_stale(one) or self._is_hidden(one[1], now_ms)]
        chosen = data.draw(st.lists(st.sampled_from(usable), max_size=4)) if usable else []
        self._queue.delete([receipt for receipt, _, _ in chosen])
        for one in chosen:
            if not self._is_stale(one):
                del self._waiting[one[1]]

    @rule(ms=st.sampled_from([999, 1_000, 3_000]))
    def wait(self, ms: int) -> None:
        """Let time pass."""
        self._clock.advance(0 if self._own_clock else ms)

    @invariant()
    def nothing_is_lost(self) -> None:
        """What waits and what is dead is what the model says."""
        self._bury(set(self._queue.dead()) - self._dead)
        assert self._queue.depth() == len(self._waiting)
        assert sorted(self._queue.dead()) == sorted(self._dead)

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)
        self._folder.cleanup()

    def _bury(self, bodies: set[bytes]) -> None:
        for body in bodies:
            assert self._waiting.pop(body).attempt == ATTEMPTS_MAX
            self._dead.add(body)

    def _is_stale(self, one: tuple[str, bytes, int]) -> bool:
        _, body, attempt = one
        return body not in self._waiting or self._waiting[body].attempt != attempt

    def _is_hidden(self, body: bytes, now_ms: int) -> bool:
        return body in self._waiting and self._waiting[body].visible_at_ms > now_ms


def queue_machine_on(open_queue: Open, *, own_clock: bool = False) -> type[QueueMachine]:
    """The machine for one backend, as Hypothesis wants it: made without arguments."""

    class Machine(QueueMachine):
        def __init__(self) -> None:
            super().__init__(open_queue, own_clock=own_clock)

    return Machine
