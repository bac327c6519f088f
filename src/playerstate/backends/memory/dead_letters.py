"""The dead letters, and the record of those that have gone, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import structs

from playerstate.core.letters import EVERY, End, Ending, GoneLetter, LetterFilter, LetterSummary, fingerprint
from playerstate.core.model import DeadLetter, Identity, Stage
from playerstate.core.producers import OWN_PRODUCER_PREFIX


class MemoryDeadLetters:
    """`DeadLetters` by id, in the order in which they were put."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: dict[str, DeadLetter] = {}
        self._places: dict[str, int] = {}
        self._gone: dict[int, tuple[GoneLetter, bytes]] = {}
        self._number = 0
        self._put = 0
        self._forgotten: dict[str, int] = {}

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters, all or none; how many of them were not there."""
        found = list(letters)  # taken before anything is kept: the source may fail half-way
        with self._lock:
            before = self._put
            for letter in found:
                if letter.letter_id not in self._letters:
                    self._put += 1
                    self._letters[letter.letter_id] = letter
                    self._places[letter.letter_id] = self._put
            return self._put - before

    def mark(self) -> int:
        """How many letters were ever put."""
        return self._put

    def list(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next letters in the order of their ids."""
        with self._lock:
            found = sorted(self._letters.items())
        return [letter for letter_id, letter in found if letter_id > after and where.matches(letter)][:limit]

    def get(self, letter_id: str) -> DeadLetter | None:
        """One letter."""
        return self._letters.get(letter_id)

    def find(self, identity: Identity) -> DeadLetter | None:
        """The letter of an update."""
        with self._lock:
            return next((letter for letter in self._letters.values() if letter.identity == identity), None)

    def replace(self, letter: DeadLetter) -> bool:
        """Keep what has changed of a letter."""
        with self._lock:
            if letter.letter_id not in self._letters:
                return False
            self._letters[letter.letter_id] = letter
            return True

    def end(self, letter_id: str, ending: Ending) -> bool:
        """Have a letter go, and keep the record of it."""
        with self._lock:
            return self._end(lambda letter: letter.letter_id == letter_id, ending) == 1

    def expire(self, before: int, keep: int, *, at: int, limit: int) -> int:
        """End letters that are too old or too many."""
        ending = Ending(End.EXPIRED, at)
        with self._lock:
            gone = self._end(lambda letter: letter.at < before, ending, limit)
            too_many = max(min(len(self._letters) - keep, limit - gone), 0)
            return gone + self._end(lambda _: True, ending, too_many)

    def erase(self, player_id: str, *, at: int, before: str | None = None) -> int:
        """End a player's letters, and forget the reasons of those that had gone."""

        def is_the_players(letter: DeadLetter | GoneLetter) -> bool:
            return letter.identity is not None and letter.identity.player_id == player_id

        with self._lock:
            for number, (record, print_) in self._gone.items():
                if is_the_players(record):
                    bare = structs.replace(record.ending, reason="")
                    self._gone[number] = structs.replace(record, ending=bare), print_
            return self._end(
                lambda letter: is_the_players(letter) and (before is None or letter.letter_id < before),
                Ending(End.ERASED, at),
            )

    def summary(self) -> LetterSummary:
        """How many there are, and how old."""
        by_stage: dict[Stage, int] = {}
        with self._lock:
            for letter in self._letters.values():
                by_stage[letter.stage] = by_stage.get(letter.stage, 0) + 1
            return LetterSummary(by_stage, min([letter.at for letter in self._letters.values()], default=0))

    def count(self) -> int:
        """How many letters there are."""
        return len(self._letters)

    def gone(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records."""
        with self._lock:
            records = [record for record, _ in self._gone.values()]
        return [record for record in records if record.number > after and where.matches(record)][:limit]

    def latest_gone(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a letter."""
        with self._lock:
            records = [record for record, _ in self._gone.values() if record.letter_id == letter_id]
        return records[-1] if records else None

    def has_ended(self, letter: DeadLetter) -> bool:
        """Whether a letter with this id and body has gone."""
        with self._lock:
            known = [(record.letter_id, print_) for record, print_ in self._gone.values()]
        return (letter.letter_id, fingerprint(letter)) in known

    def code_of(self, identity: Identity) -> str | None:
        """Why an update was put aside."""
        with self._lock:
            known: list[DeadLetter | GoneLetter] = list(self._letters.values())
            known += [record for record, _ in self._gone.values()]
        return next((one.code for one in known if one.identity == identity), None)

    def identities(self) -> Sequence[Identity]:
        """Every identity for which `code_of` has an answer."""
        with self._lock:
            known: list[DeadLetter | GoneLetter] = list(self._letters.values())
            known += [record for record, _ in self._gone.values()]
        return [one.identity for one in known if one.identity]

    def identities_since(self, mark: int) -> Sequence[Identity]:
        """Those put after the mark, and all that have gone."""
        with self._lock:
            new = [letter_id for letter_id, place in self._places.items() if place > mark]
            known: list[DeadLetter | GoneLetter] = [self._letters[letter_id] for letter_id in new]
            known += [record for record, _ in self._gone.values()]
        return [one.identity for one in known if one.identity]

    def forget(self, before: int, keep: int, *, limit: int) -> int:
        """Delete records that are too old or too many."""
        with self._lock:
            old = [number for number, (record, _) in self._gone.items() if record.ending.at < before]
            forgotten = self._forget(old[:limit])
            too_many = max(min(len(self._gone) - keep, limit - forgotten), 0)
            return forgotten + self._forget(list(islice(self._gone, too_many)))

    def forgotten_up_to(self, producer: str) -> int:
        """The highest sequence of which a record was forgotten."""
        return self._forgotten.get(producer, 0)

    def _end(self, goes: Callable[[DeadLetter], bool], ending: Ending, limit: int | None = None) -> int:
        going = [letter for letter in self._letters.values() if goes(letter)][:limit]
        for letter in going:
            del self._letters[letter.letter_id], self._places[letter.letter_id]
            self._number += 1
            known = (letter.letter_id, letter.stage, letter.at, letter.code, letter.identity)
            self._gone[self._number] = GoneLetter(self._number, *known, ending), fingerprint(letter)
        return len(going)

    def _forget(self, numbers: Sequence[int]) -> int:
        for number in numbers:
            identity = self._gone.pop(number)[0].identity
            if identity and identity.producer.startswith(OWN_PRODUCER_PREFIX):
                known = self._forgotten.get(identity.producer, 0)
                self._forgotten[identity.producer] = max(known, identity.sequence)
        return len(numbers)
