"""The dead letters, and the record of those that have gone, in the control table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, takewhile
from typing import Any, TypeAlias

from msgspec import structs

from playerstate.backends.aws.control import (
    GONE,
    GONE_AT,
    GONE_OF,
    LETTER,
    LETTER_BODY,
    LETTER_FOUND,
    LETTER_PUT,
    Control,
    Item,
    Name,
    Operator,
)
from playerstate.backends.aws.letter_changes import STAGE_COUNT, LetterChanges
from playerstate.backends.aws.letter_items import (
    body_of,
    dead_partition,
    forgotten_name,
    head_of,
    number_text,
    record_of,
    searched_for,
    without_reason,
)
from playerstate.core.letters import EVERY, End, Ending, GoneLetter, LetterFilter, LetterSummary, fingerprint
from playerstate.core.model import DeadLetter, Identity

GONE_AT_ONCE = 10
"""How many records are read at once, from the latest on, until one is from before what is looked for."""

Letters: TypeAlias = list[DeadLetter]


class DynamoDeadLetters:
    """`DeadLetters`. More letters than go into one transaction (19, or 3 MB) are put part by part.

    Then `OutcomeUnknown` says that some may be kept and others not; putting them again keeps the rest. What does not
    fit into an item is cut (`letter_bodies`), and the reason says so.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._changes = LetterChanges(control)

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters; how many were new."""
        return self._changes.put(letters)

    def list(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        sk: tuple[Operator, str] | None = (">", after) if after else None
        size = limit if where == EVERY else None
        heads = self._control.query(LETTER, sk, where=searched_for(where), page_size=size)
        return self._whole(islice(heads, limit))

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        found = self._whole(self._changes.heads([letter_id]))
        return found[0] if found else None

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update."""
        named = self._control.query(dead_partition(identity), ("begins_with", "letter#"), attributes=("sk",))
        letters = (self.get(item["sk"].removeprefix("letter#")) for item in named)
        return next((letter for letter in letters if letter), None)

    def replace(self, letter: DeadLetter) -> bool:
        """Keep what has changed of a letter."""
        return self._changes.replace(letter)

    def end(self, letter_id: str, ending: Ending) -> bool:
        """Have a letter go, and keep the record of it."""
        return self._changes.end([letter_id], ending) == 1

    def expire(self, before: int, keep: int, *, at: int, limit: int) -> int:
        """End letters that are too old or too many."""
        ending = Ending(End.EXPIRED, at)
        old = self._control.query(LETTER_FOUND, ("<", number_text(before)))
        gone = self._changes.end([item["letter_id"] for item in islice(old, limit)], ending)
        too_many = max(min(self.count() - keep, limit - gone), 0)
        first = self._control.query(LETTER_PUT) if too_many else iter(())
        return gone + self._changes.end([item["letter_id"] for item in islice(first, too_many)], ending)

    def erase(self, player_id: str, *, at: int, before: str | None = None) -> int:
        """End a player's letters, and forget the reasons of those that had gone."""
        where = searched_for(LetterFilter(player_id=player_id))
        heads: Iterable[Item] = ()
        if before != "":
            heads = self._control.query(LETTER, None if before is None else ("<", before), where=where)
        ended = self._changes.end([head["sk"] for head in heads], Ending(End.ERASED, at))
        for item in self._control.query(GONE, where=where):
            if record_of(item).ending.reason:
                self._control.put_if_there(without_reason(item))
        return ended

    def summary(self) -> LetterSummary:
        """How many there are, and how old."""
        counts = self._changes.counts().items()
        by_stage: Any = {name.removeprefix(STAGE_COUNT): n for name, n in counts if n and name.startswith(STAGE_COUNT)}
        first = next(self._control.query(LETTER_FOUND, page_size=1), None)
        return LetterSummary(by_stage, int(first["sk"].partition("#")[0]) if by_stage and first else 0)

    def count(self) -> int:
        """How many letters there are."""
        return int(self._changes.counts()["letters"])

    def mark(self) -> int:
        """How many letters were ever put."""
        return int(self._changes.counts()["put"])

    def gone(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records."""
        size = limit if where == EVERY else None
        found = self._control.query(GONE, (">", number_text(after)), where=searched_for(where), page_size=size)
        return [record_of(item) for item in islice(found, limit)]

    def latest_gone(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a letter."""
        latest = next(self._control.query(GONE_OF + letter_id, backwards=True, page_size=1), None)
        found = self._changes.records([latest["number"]]) if latest else []
        return found[0] if found else None

    def has_ended(self, letter: DeadLetter) -> bool:
        """Whether a letter with this id and body has gone."""
        found = self._control.query(GONE_OF + letter.letter_id, where={"fingerprint": ("=", fingerprint(letter))})
        return next(found, None) is not None

    def code_of(self, identity: Identity) -> str | None:
        """Why an update was put aside."""
        found = next(self._control.query(dead_partition(identity), backwards=True, page_size=1), None)
        return str(found["code"]) if found else None

    def identities(self) -> Sequence[Identity]:
        """Every identity for which `code_of` has an answer."""
        known = [head_of(item).identity for item in self._control.query(LETTER, attributes=("head",))]
        known += [record_of(item).identity for item in self._control.query(GONE, attributes=("record",))]
        return [identity for identity in known if identity]

    def identities_since(self, mark: int) -> Sequence[Identity]:
        """Those put after the mark, there or gone. It reads no more than that, and a page of records.

        What goes while this is read is found as a record. Each says how many letters had been put when its own went:
        of a letter that was put after the mark, more than that.
        """
        put = self._control.query(LETTER_PUT, (">", number_text(mark)))
        known = [head_of(head).identity for head in self._changes.heads([item["letter_id"] for item in put])]
        latest = self._control.query(GONE, backwards=True, page_size=GONE_AT_ONCE)
        known += [record_of(item).identity for item in takewhile(lambda item: item["put"] > mark, latest)]
        return [identity for identity in known if identity]

    def forget(self, before: int, keep: int, *, limit: int) -> int:
        """Delete records that are too old or too many."""
        old = self._control.query(GONE_AT, ("<", number_text(before)))
        forgotten = self._changes.forget([item["number"] for item in islice(old, limit)])
        too_many = max(min(self._changes.counts()["records"] - keep, limit - forgotten), 0)
        first = self._control.query(GONE, attributes=("sk",)) if too_many else iter(())
        return forgotten + self._changes.forget([int(item["sk"]) for item in islice(first, too_many)])

    def forgotten_up_to(self, producer: str) -> int:
        """The highest sequence of which a record was forgotten."""
        name = forgotten_name(producer)
        found = self._control.get(name)
        return int(found[name]["sequence"]) if found else 0

    def _whole(self, heads: Iterable[Item]) -> Letters:
        """Letters with what they held, but for those that have gone just now."""
        letters = [head_of(head) for head in heads]
        bodies = self._control.get(*[Name(LETTER_BODY, letter.letter_id) for letter in letters]) if letters else {}
        held = [(letter, bodies.get(Name(LETTER_BODY, letter.letter_id))) for letter in letters]
        return [structs.replace(letter, body=body_of(item)) for letter, item in held if item]
