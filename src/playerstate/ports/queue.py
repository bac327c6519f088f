"""Queues: how consumer groups hear of changed views, one queue a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message that was received, and has to be deleted by its receipt before it becomes visible again."""

    receipt: str
    body: bytes
    attempt: int


class Sender(Protocol):
    """Where messages are sent to: a queue, or a topic that hands each to the queues of the groups that want it."""

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Send messages, all or none; where only some were sent, or that cannot be told, it raises `OutcomeUnknown`.

        Only a queue delays them.
        """
        ...


class Queue(Sender, Protocol):
    """One consumer group's queue.

    - **Durable** and **at least once**: a message stays until it is deleted; one that was received and not deleted
      becomes visible again after `visibility_s`.
    - **Unordered**: consumers must not rely on any order.
    - **Bounded tries**: a message received more than `attempts_max` times goes to the queue's dead letters.
    """

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue; they become visible after `delay_s` (15 minutes at most)."""
        ...

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """Up to `limit` visible messages; none if there are none."""
        ...

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages that were received. A receipt that is no longer valid is ignored."""
        ...

    def depth(self) -> int:
        """How many messages wait, visible or not."""
        ...
