"""A consumer group's queue, in memory: as unordered as a queue may be."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from playerstate.ports.clock import Clock
from playerstate.ports.queue import Message


@dataclass(slots=True)
class _Waiting:
    body: bytes
    visible_at_ms: int = 0
    attempt: int = 0
    receipt: str = ""


class MemoryQueue:
    """A `Queue` that delivers in the order of `random`; the same seed and calls give the same deliveries.

    A `repeat_share` above 0 is the share of deliveries that leave the message visible, so that it comes again at
    once, as queues that promise "at least once" now and then do.
    """

    def __init__(self, clock: Clock, random: Random, *, attempts_max: int = 5, repeat_share: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._random = random
        self._attempts_max = attempts_max
        self._repeat_share = repeat_share
        self._numbers = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._received: dict[str, int] = {}
        self._dead: list[bytes] = []

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue, all or none."""
        visible_at_ms = self._clock.now_ms() + int(delay_s * 1000) if delay_s else 0
        messages = [_Waiting(body, visible_at_ms) for body in bodies]
        with self._lock:
            for message in messages:
                self._waiting[next(self._numbers)] = message

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """Up to `limit` visible messages."""
        now_ms = self._clock.now_ms()
        with self._lock:
            visible = [number for number, message in self._waiting.items() if message.visible_at_ms <= now_ms]
            visible = [number for number in visible if not self._buried(number)]
            self._random.shuffle(visible)
            return [self._deliver(number, now_ms + int(visibility_s * 1000)) for number in visible[:limit]]

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages that were received."""
        with self._lock:
            for receipt in receipts:
                number = self._received.pop(receipt, None)
                if number is not None:
                    del self._waiting[number]

    def depth(self) -> int:
        """How many messages wait, visible or not."""
        with self._lock:
            return len(self._waiting)

    def dead(self) -> list[bytes]:
        """The bodies of the messages that were received too often."""
        with self._lock:
            return list(self._dead)

    def _buried(self, number: int) -> bool:
        message = self._waiting[number]
        if message.attempt < self._attempts_max:
            return False
        self._dead.append(message.body)
        self._received.pop(message.receipt, None)
        del self._waiting[number]
        return True

    def _deliver(self, number: int, visible_at_ms: int) -> Message:
        message = self._waiting[number]
        self._received.pop(message.receipt, None)
        message.attempt += 1
        message.receipt = f"{number}.{message.attempt}"
        if self._random.random() >= self._repeat_share:
            message.visible_at_ms = visible_at_ms
        self._received[message.receipt] = number
        return Message(message.receipt, message.body, message.attempt)
