"""What every keeper of dead letters guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from builders import letter
from conformance.suite import Broken, BrokenInputError, Suite, crashed_copy, run_together, walk
from playerstate.core.model import DeadLetter, Identity
from playerstate.ports.dead_letters import DeadLetters

IDENTITY = Identity("game-1", 7, "anna", "gold")
ALIKE = [
    Identity("game-1", 8, "anna", "gold"),
    Identity("game-2", 7, "anna", "gold"),
    Identity("game-1", 7, "bob", "gold"),
    Identity("game-1", 7, "anna", "gold2"),
]


class DeadLettersSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[DeadLetters]:
        """Open the dead letters that lie at a path, or make them."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "dead_letters"

    @pytest.fixture
    def letters(self, path: Path) -> Iterator[DeadLetters]:
        with self.open(path) as letters:
            yield letters

    def test_none_at_first(self, letters: DeadLetters) -> None:
        """Without letters there is nothing to count, list, get or find."""
        assert (letters.count(), letters.list()) == (0, [])
        assert (letters.get("1"), letters.find(IDENTITY)) == (None, None)

    def test_kept_as_they_were_put(self, letters: DeadLetters) -> None:
        """A letter comes back with every field as it was, its body as bytes that need not be text."""
        put = [
            letter("1-a", body=b"\x00\xff{", identity=IDENTITY),
            letter("1-b", stage="link", body=b""),
            DeadLetter("1-ü", "accept", 5, "too_large", 'It\'s 100% "too" large - at `$.ops[0]`', b"{}", ALIKE[2]),
        ]
        letters.put(put)
        assert letters.list() == put
        assert [letters.get(one.letter_id) for one in put] == put

    def test_putting_again_keeps_one(self, letters: DeadLetters) -> None:
        """The same letter put again, in the same call or a later one, is one letter."""
        one, other = letter("1", identity=IDENTITY), letter("2")
        letters.put([one, one])
        letters.put([other, one])
        letters.put([])
        assert (letters.count(), letters.list()) == (2, [one, other])

    def test_all_or_none(self, letters: DeadLetters) -> None:
        """A call that fails half-way keeps none of its letters."""
        letters.put([letter("1")])
        with pytest.raises(BrokenInputError):
            letters.put(Broken(letter("2"), letter("3")))
        assert letters.list() == [letter("1")]

    def test_listed_in_the_order_of_ids(self, letters: DeadLetters) -> None:
        """Letters are listed by id, in whatever order they came."""
        ids = ["1700000000001-2", "1700000000000-9", "1700000000001-1", "1700000000001-10"]
        letters.put([letter(one) for one in ids[:2]])
        letters.put([letter(one) for one in ids[2:]])
        assert [one.letter_id for one in letters.list()] == sorted(ids)

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_paging_misses_and_repeats_nothing(self, letters: DeadLetters, limit: int) -> None:
        """Going on after the last id seen lists every letter once, in pages of at most the limit."""
        letters.put([letter(f"{n:03}") for n in range(7)])
        seen = walk(lambda last: letters.list(after=last.letter_id if last else "", limit=limit), limit)
        assert [one.letter_id for one in seen] == [f"{n:03}" for n in range(7)]

    def test_paging_goes_on_after_a_removed_letter(self, letters: DeadLetters) -> None:
        """The id to go on from need not be that of a letter any more."""
        letters.put([letter("1"), letter("2"), letter("3")])
        letters.remove("2")
        assert [one.letter_id for one in letters.list(after="2")] == ["3"]

    def test_found_by_the_whole_identity(self, letters: DeadLetters) -> None:
        """An update's letter is found by its identity: producer, sequence, player and key, all of them."""
        letters.put([letter("0"), *[letter(f"1-{n}", identity=one) for n, one in enumerate(ALIKE)]])
        assert letters.find(IDENTITY) is None
        letters.put([letter("2", identity=IDENTITY)])
        assert letters.find(IDENTITY) == letter("2", identity=IDENTITY)
        assert [letters.find(one) for one in ALIKE] == letters.list(after="1")[: len(ALIKE)]

    def test_removed_is_gone(self, letters: DeadLetters) -> None:
        """A removed letter is neither listed, got, found nor counted; removing it again says that it was not there."""
        letters.put([letter("1", identity=IDENTITY), letter("2")])
        assert letters.remove("1") is True
        assert letters.remove("1") is False
        assert letters.remove("no such letter") is False
        assert (letters.get("1"), letters.find(IDENTITY)) == (None, None)
        assert (letters.count(), letters.list()) == (1, [letter("2")])

    def test_two_letters_of_one_update(self, letters: DeadLetters) -> None:
        """While any letter of an update is kept, one is found."""
        two = [letter("1", identity=IDENTITY), letter("2", identity=IDENTITY)]
        letters.put(two)
        assert letters.find(IDENTITY) in two
        letters.remove("1")
        assert letters.find(IDENTITY) == two[1]

    def test_put_from_many_threads(self, letters: DeadLetters) -> None:
        """Stages that find the same letters at the same time keep each once."""
        found = [letter(f"{n:03}") for n in range(20)]

        def put_all() -> None:
            for one in found:
                letters.put([one])

        run_together(put_all, put_all, put_all)
        assert letters.list() == found

    @pytest.mark.usefixtures("durable")
    def test_outlive_a_crash(self, path: Path) -> None:
        """Letters that were put are in the files, those that were removed are not, however the process ended."""
        with self.open(path) as letters:
            letters.put([letter("1", identity=IDENTITY), letter("2")])
            letters.remove("2")
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where) as letters:
                assert letters.list() == [letter("1", identity=IDENTITY)]
                assert letters.find(IDENTITY) == letter("1", identity=IDENTITY)
