"""The consumer of a consumer group's queue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from playerstate.core.answers import StageStats
from playerstate.core.model import DeadLetter, Stage
from playerstate.core.told import decode_told, encode_told
from playerstate.core.wire import decode_notices, encode_notices
from playerstate.errors import InvalidUpdate, PlayerStateError
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Message, Queue
from playerstate.runtime.consumers import Report

MESSAGES_MAX = 40
VISIBILITY_S = 20.0

log = structlog.get_logger(__name__)


class MessageForm(NamedTuple):
    """How a queue's messages are read and written. `decode` raises `InvalidUpdate` for what is none."""

    decode: Callable[[bytes], Sequence[Any]]
    encode: Callable[[list[Any]], bytes]


NOTICES = MessageForm(decode_notices, encode_notices)
NOTICES_AND_DELIVERIES = MessageForm(decode_told, encode_told)
"""What the audit is told: what changed, and what came and changed nothing."""


class QueueConsumer:
    """A consumer group's queue -> the stage that takes its notices, or whatever `form` says.

    A message that is none goes to the dead letters at once: trying again cannot help.
    """

    batch_max = MESSAGES_MAX

    def __init__(
        self,
        name: Stage,
        queue: Queue,
        handle: Callable[[Sequence[Any]], int],
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        linger_s: float = 0.1,
        form: MessageForm = NOTICES,
    ) -> None:
        self.name: Stage = name
        self.linger_s = linger_s
        self.stats = StageStats()
        self._queue = queue
        self._handle = handle
        self._dead_letters = dead_letters
        self._clock = clock
        self._form = form

    def step(self) -> int:
        """Take the next messages of the queue."""
        messages = self._queue.receive(self.batch_max, visibility_s=VISIBILITY_S)
        if not messages:
            return 0
        notices: list[Any] = []
        for message in messages:
            try:
                notices += self._form.decode(message.body)
            except InvalidUpdate as exc:
                now = self._clock.now_ms()
                self._dead_letters.put([dead_message(self.name, message.body, exc.code, str(exc), now)])
        try:
            self._handle(notices)
        except PlayerStateError:
            raise
        except Exception:
            log.exception("a stage met a fault; its messages are taken one by one", stage=self.name)
            self._handle_one_by_one(messages)
        self._queue.delete([message.receipt for message in messages])
        self.stats.processed += len(notices)
        return len(messages)

    def _handle_one_by_one(self, messages: Sequence[Message]) -> None:
        """Put aside what the stage cannot take, and nothing beside it."""
        for message in messages:
            for notice in self._told_by(message):
                try:
                    self._handle([notice])
                except PlayerStateError:
                    raise
                except Exception as exc:  # noqa: BLE001 - whatever it is, it is kept and told
                    body, now = self._form.encode([notice]), self._clock.now_ms()
                    self._dead_letters.put([dead_message(self.name, body, "internal", repr(exc), now)])

    def _told_by(self, message: Message) -> Sequence[Any]:
        try:
            return self._form.decode(message.body)
        except InvalidUpdate:
            return []  # it is a dead letter already

    def tell(self, report: Report) -> None:
        """Nothing that its stats do not say."""


def dead_message(stage: Stage, body: bytes, code: str, reason: str, now: int) -> DeadLetter:
    """The dead letter of a message; its id follows from what it says, so that finding it twice keeps one."""
    return DeadLetter(f"{stage}-{hashlib.sha256(body).hexdigest()[:16]}", stage, now, code, reason, body)
