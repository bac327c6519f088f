"""Where stages put what they cannot take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from playerstate.core.model import DeadLetter, Identity


class DeadLetters(Protocol):
    """Dead letters, durable when `put` returns. Putting the same letter again keeps one."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, all or none."""
        ...

    def list(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        ...

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        ...

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update, if it is one."""
        ...

    def remove(self, letter_id: str) -> bool:
        """Remove a letter; False if it was not there."""
        ...

    def count(self) -> int:
        """How many letters there are."""
        ...
