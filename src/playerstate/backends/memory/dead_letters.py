"""The dead letters, in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from playerstate.core.model import DeadLetter, Identity


class MemoryDeadLetters:
    """`DeadLetters` by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: dict[str, DeadLetter] = {}

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, all or none."""
        found = list(letters)  # taken before anything is kept: the source may fail half-way
        with self._lock:
            for letter in found:
                self._letters.setdefault(letter.letter_id, letter)

    def list(self, *, after: str = "", limit: int = 100) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        with self._lock:
            ids = sorted(letter_id for letter_id in self._letters if letter_id > after)
            return [self._letters[letter_id] for letter_id in ids[:limit]]

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        return self._letters.get(letter_id)

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update."""
        with self._lock:
            return next((letter for letter in self._letters.values() if letter.identity == identity), None)

    def remove(self, letter_id: str) -> bool:
        """Remove a letter."""
        with self._lock:
            return self._letters.pop(letter_id, None) is not None

    def count(self) -> int:
        """How many letters there are."""
        return len(self._letters)
