"""The messages of one event as a `Queue`, so that the consumers of queues run unchanged in a function."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.errors import Unavailable
from playerstate.ports.queue import Message, Queue


class EventQueue:
    """Holds what an event has brought. What is not deleted when a consumer is done has failed.

    What the consumer sends goes to `behind`, the queue itself. Receipts are the messages' ids.
    """

    def __init__(self, behind: Queue | None = None) -> None:
        self._behind = behind
        self._messages: list[Message] = []
        self._waiting: list[Message] = []
        self._left: dict[str, None] = {}

    def fill(self, messages: Sequence[Message]) -> None:
        """Hold the messages of the next event, and forget those of the last one."""
        self._messages = list(messages)
        self._waiting = list(messages)
        self._left = dict.fromkeys([message.receipt for message in messages])

    def rewind(self) -> None:
        """Have what was received and not deleted received again."""
        self._waiting = [message for message in self._messages if message.receipt in self._left]

    @property
    def left(self) -> list[str]:
        """The receipts of what was not deleted."""
        return list(self._left)

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue itself."""
        if self._behind is None:
            raise Unavailable("nothing is sent to this queue from here")
        self._behind.send(bodies, delay_s=delay_s)

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """The next messages of the event, each once."""
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken

    def delete(self, receipts: Sequence[str]) -> None:
        """Note that messages are done with."""
        for receipt in receipts:
            self._left.pop(receipt, None)

    def depth(self) -> int:
        """How many of the event's messages are not done with."""
        return len(self._left)
