"""Where stages put what they cannot take, and the record of what has become of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from playerstate.core.letters import EVERY, Ending, GoneLetter, LetterFilter, LetterSummary
from playerstate.core.model import DeadLetter, Identity


class DeadLetters(Protocol):
    """Dead letters, durable when `put` returns. Putting the same letter again keeps one.

    A letter that goes leaves a record, in the same transaction: its update stays dead. Once the record is forgotten
    too, `forgotten_up_to` tells how far what is said of a producer is no longer the whole truth. A letter may come back
    under the id of one that has gone: a message that a stage has failed on again.
    """

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters, all or none; how many of them were not there: count those, for a retry puts them again."""
        ...

    def mark(self) -> int:
        """A number that has grown by one for every letter that was put and was not there. Cheap enough for every batch.

        So whoever remembers what there is, and adds what it puts itself, sees that others have put letters, and takes
        in `identities_since`.
        """
        ...

    def list(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        ...

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        ...

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update, if it is one."""
        ...

    def replace(self, letter: DeadLetter) -> bool:
        """Keep what has changed of a letter; False if it is not there."""
        ...

    def end(self, letter_id: str, ending: Ending) -> bool:
        """Have a letter go, and keep the record of it; False if it was not there."""
        ...

    def expire(self, before: int, keep: int, *, at: int, limit: int) -> int:
        """End letters that were found before a time (ms), and the first ones put of more than `keep`, as expired.

        At most `limit` at once; returns how many.
        """
        ...

    def erase(self, player_id: str, *, at: int, before: str | None = None) -> int:
        """End the letters of updates whose first key is the player's, and forget the reasons of those that had gone.

        With `before`, only letters whose ids sort before it. Returns how many went.
        """
        ...

    def summary(self) -> LetterSummary:
        """How many there are, and how old. Cheap enough to be asked every second."""
        ...

    def count(self) -> int:
        """How many letters there are."""
        ...

    def gone(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records beyond a number, in the order in which letters went."""
        ...

    def latest_gone(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a letter."""
        ...

    def has_ended(self, letter: DeadLetter) -> bool:
        """Whether a letter with this id and body has gone."""
        ...

    def code_of(self, identity: Identity) -> str | None:
        """Why an update was put aside, whether its letter is there or has gone; None if it was not, or is forgotten."""
        ...

    def identities(self) -> Sequence[Identity]:
        """Every identity for which `code_of` has an answer, in no order, some twice."""
        ...

    def identities_since(self, mark: int) -> Sequence[Identity]:
        """Those of them whose letters were put after `mark` had this value, also if the letters have gone since.

        Those of others that have gone may be among them; those of others that are there are not.
        """
        ...

    def forget(self, before: int, keep: int, *, limit: int) -> int:
        """Delete records of letters that went before a time (ms), and the first ones of more than `keep`.

        At most `limit` at once; returns how many.
        """
        ...

    def forgotten_up_to(self, producer: str) -> int:
        """The highest sequence of a producer of accept's own of which a record was forgotten; 0 if none was."""
        ...
