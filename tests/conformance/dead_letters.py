"""What every keeper of dead letters guarantees."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from builders import NOW_MS, letter
from conformance.suite import Broken, BrokenInputError, Suite, run_together, walk
from playerstate.core.letters import End, Ending, GoneLetter, LetterFilter, LetterSummary
from playerstate.core.model import DeadLetter, Identity
from playerstate.ports.dead_letters import DeadLetters

IDENTITY = Identity("game-1", 7, "anna", "gold")
OWN = Identity("@local.ab.1", 65_540, "anna", "gold")
DISCARDED = Ending(End.DISCARDED, NOW_MS + 5, "a test of the shop's")
ALIKE = [
    Identity("game-1", 8, "anna", "gold"),
    Identity("game-2", 7, "anna", "gold"),
    Identity("game-1", 7, "bob", "gold"),
    Identity("game-1", 7, "anna", "gold2"),
]


class DeadLettersSuite(Suite, ABC):
    whole_up_to: int | None = None
    """Bodies that are larger than this are cut, unless they can be compressed to it: a declared gap."""

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
        """Without letters there is nothing to count, list, get or find, and nothing has gone."""
        assert (list(letters.gone()), letters.latest_gone("1"), letters.has_ended(letter("1"))) == ([], None, False)
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
        letters.end("2", DISCARDED)
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
        assert letters.end("1", DISCARDED) is True
        assert letters.end("1", DISCARDED) is False
        assert letters.end("no such letter", DISCARDED) is False
        assert (letters.get("1"), letters.find(IDENTITY)) == (None, None)
        assert (letters.count(), letters.list()) == (1, [letter("2")])

    def test_two_letters_of_one_update(self, letters: DeadLetters) -> None:
        """While any letter of an update is kept, one is found."""
        two = [letter("1", identity=IDENTITY), letter("2", identity=IDENTITY)]
        letters.put(two)
        assert letters.find(IDENTITY) in two
        letters.end("1", DISCARDED)
        assert letters.find(IDENTITY) == two[1]

    def test_mark_grows_by_what_is_put(self, letters: DeadLetters) -> None:
        """By one for each letter that was not there, also for one that comes back; `put` says how many those were."""
        assert letters.mark() == 0
        assert letters.put([letter("1"), letter("2"), letter("1")]) == 2
        assert (letters.mark(), letters.put([letter("2"), letter("1")]), letters.mark()) == (2, 0, 2)
        letters.end("1", DISCARDED)
        letters.replace(structs.replace(letter("2"), tried_at=NOW_MS))
        letters.forget(NOW_MS + 6, 0, limit=9)
        assert (letters.put([]), letters.mark()) == (0, 2)
        assert (letters.put([letter("2"), letter("1"), letter("3")]), letters.mark()) == (2, 4)
        letters.expire(2 * NOW_MS, 0, at=NOW_MS, limit=9)
        assert letters.mark() == 4

    def test_more_than_go_at_once(self, letters: DeadLetters) -> None:
        """However many letters are put, ended or forgotten in a call, each is."""
        put = [letter(f"{n:03}", identity=ALIKE[n % 4]._replace(sequence=n)) for n in range(45)]
        assert letters.put(put) == 45
        assert letters.list() == put
        assert letters.erase("anna", at=NOW_MS) == 34
        assert letters.expire(2 * NOW_MS, 0, at=NOW_MS + 1, limit=100) == 11
        assert [gone.number for gone in letters.gone()] == list(range(1, 46))
        assert sorted(letters.identities()) == sorted([one.identity for one in put if one.identity])
        assert letters.forget(2 * NOW_MS, 0, limit=100) == 45
        assert (letters.count(), letters.summary(), list(letters.gone())) == (0, LetterSummary(), [])

    def test_letters_of_any_size(self, letters: DeadLetters) -> None:
        """What an update may hold, its identity too, however little sense it makes."""
        huge = Identity("game-1", 1, "x" * 120_000, "y" * 120_000)
        put = [letter(f"{n:02}", body=bytes(262_144), identity=huge._replace(sequence=n)) for n in range(14)]
        assert letters.put(put) == 14
        assert letters.list(where=LetterFilter(player_id=huge.player_id)) == put
        assert letters.find(huge._replace(sequence=3)) == put[3]
        assert letters.expire(2 * NOW_MS, 0, at=NOW_MS, limit=100) == 14
        assert letters.has_ended(put[3])
        assert letters.latest_gone("03") == letters.gone()[3]

    @pytest.mark.parametrize("compressible", [False, True], ids=["noise", "text"])
    def test_bodies_of_any_size(self, letters: DeadLetters, compressible: bool) -> None:
        """Promise 10: up to 1 MiB they are kept as they are, or cut, which the reason says with size and SHA-256.

        Whether it is whole or not, a letter that is found again is known: while it is there, and after it has gone.
        """
        around = self.whole_up_to or 350_000
        sizes = [around - 1, around, around + 1, 409_600, 1_048_576]
        bodies = [(b"{}" * size)[:size] if compressible else Random(size).randbytes(size) for size in sizes]
        put = [letter(f"{n}", stage="link", body=body) for n, body in enumerate(bodies)]
        assert letters.put(put) == len(sizes)
        assert letters.put(put) == 0
        cut = 0
        for one, kept in zip(put, letters.list(), strict=True):
            if kept != one:
                cut += 1
                assert self.whole_up_to is not None
                assert len(one.body) > self.whole_up_to
                assert not compressible
                assert len(kept.body) > self.whole_up_to // 2
                assert one.body.startswith(kept.body)
                assert f"{len(kept.body)} of {len(one.body)} bytes" in kept.reason
                assert hashlib.sha256(one.body).hexdigest() in kept.reason
                assert kept.reason.startswith(one.reason)
            assert letters.replace(structs.replace(kept, tried_at=NOW_MS))
            assert letters.get(kept.letter_id) == structs.replace(kept, tried_at=NOW_MS)
            assert not letters.has_ended(one)
        assert cut == (3 if self.whole_up_to and not compressible else 0)
        assert letters.expire(2 * NOW_MS, 0, at=NOW_MS, limit=100) == len(sizes)
        assert all(letters.has_ended(one) for one in put)
        assert not letters.has_ended(structs.replace(put[-1], body=put[-1].body + b"!"))

    def test_identities_of_any_size(self, letters: DeadLetters) -> None:
        """Promise 10: what has an identity that nobody can have is kept, and expires, and is forgotten all the same."""
        odd = Identity("@" + "ü" * 3_000, 1, "x" * 420_000, "y" * 3_000)
        put = [
            letter("1", body=b"{" * 430_000, identity=odd),
            letter("2", identity=odd._replace(player_id="x")),
            structs.replace(letter("3"), reason="r" * 500_000),
        ]
        assert letters.put(put) == 3
        assert [one.body for one in letters.list()] == [one.body for one in put]
        assert letters.find(odd._replace(player_id="x")) == put[1]
        assert letters.expire(2 * NOW_MS, 0, at=NOW_MS, limit=100) == 3
        assert letters.forget(2 * NOW_MS, 0, limit=100) == 3
        assert letters.forgotten_up_to(odd.producer) == 1

    def test_put_from_many_threads(self, letters: DeadLetters) -> None:
        """Stages that find the same letters at the same time keep each once."""
        found = [letter(f"{n:03}") for n in range(20)]

        def put_all() -> None:
            for one in found:
                letters.put([one])

        run_together(put_all, put_all, put_all)
        assert letters.list() == found
        assert letters.mark() == len(found)

    def test_filtered(self, letters: DeadLetters) -> None:
        """By stage, code, player and time of finding, alone and together, in pages that hold only what is meant."""
        old = structs.replace(letter("1", stage="link"), at=NOW_MS - 1)
        hers = [letter(f"2-{n}", identity=one) for n, one in enumerate(ALIKE)]
        odd = structs.replace(letter("3", identity=IDENTITY), code="internal")
        letters.put([odd, *hers, old])
        assert letters.list(where=LetterFilter(stage="link")) == [old]
        assert letters.list(where=LetterFilter(before=NOW_MS)) == [old]
        assert letters.list(where=LetterFilter(code="internal")) == [odd]
        assert letters.list(where=LetterFilter(player_id="bob")) == [hers[2]]
        assert letters.list(where=LetterFilter(player_id="anna", code="malformed"), limit=2) == hers[:2]
        assert letters.list(where=LetterFilter(player_id="anna", code="malformed"), after="2-1") == hers[3:]
        assert letters.list(where=LetterFilter(stage="apply", before=NOW_MS)) == []

    def test_summary(self, letters: DeadLetters) -> None:
        """How many there are by stage, and when the oldest was found."""
        assert letters.summary() == LetterSummary({}, 0)
        letters.put([letter("1"), structs.replace(letter("2", stage="link"), at=NOW_MS - 7), letter("3")])
        assert letters.summary() == LetterSummary({"apply": 2, "link": 1}, NOW_MS - 7)
        letters.end("2", DISCARDED)
        assert letters.summary() == LetterSummary({"apply": 2}, NOW_MS)

    def test_replaced(self, letters: DeadLetters) -> None:
        """What is kept of a try to send a letter again stays with it, also when it is found again; not of one gone."""
        tried = structs.replace(letter("1", identity=IDENTITY), tried_at=NOW_MS, accepted=[2])
        assert letters.replace(tried) is False
        letters.put([letter("1", identity=IDENTITY)])
        assert letters.replace(tried) is True
        letters.put([letter("1", identity=IDENTITY)])
        assert (letters.list(), letters.find(IDENTITY)) == ([tried], tried)
        letters.end("1", DISCARDED)
        assert (letters.replace(tried), letters.list()) == (False, [])

    def test_what_has_gone_is_on_record(self, letters: DeadLetters) -> None:
        """Promise 10: id, stage, code, identity, when it was found, and how, when and why it went."""
        again = Ending(End.SENT_AGAIN, NOW_MS + 9, sent_as=[Identity("replay:2:0a1b2c3d", 1, "anna", "gold")])
        letters.put([letter("1", identity=IDENTITY), letter("2", stage="link")])
        letters.end("2", again)
        letters.end("1", DISCARDED)
        first = GoneLetter(1, "2", "link", NOW_MS, "malformed", None, again)
        second = GoneLetter(2, "1", "apply", NOW_MS, "malformed", IDENTITY, DISCARDED)
        assert list(letters.gone()) == [first, second]
        assert list(letters.gone(after=1)) == [second]
        assert list(letters.gone(limit=1)) == [first]
        assert list(letters.gone(where=LetterFilter(player_id="anna"))) == [second]
        assert (letters.latest_gone("2"), letters.latest_gone("3")) == (first, None)

    def test_one_that_came_back(self, letters: DeadLetters) -> None:
        """A message that failed again is a letter again, under its id; each time that it went is on record."""
        for n in (1, 2):
            letters.put([letter("1", stage="link")])
            assert letters.end("1", structs.replace(DISCARDED, at=NOW_MS + n)) is True
        assert [gone.ending.at for gone in letters.gone()] == [NOW_MS + 1, NOW_MS + 2]
        assert letters.latest_gone("1") == letters.gone()[1]
        assert letters.has_ended(letter("1", stage="link")) is True
        assert letters.has_ended(letter("1", stage="link", body=b"another")) is False
        assert letters.has_ended(letter("2", stage="link")) is False

    def test_an_update_stays_dead_when_its_letter_goes(self, letters: DeadLetters) -> None:
        """Promise 2: why it is, is known by the whole identity, while the letter is there and after it has gone."""
        assert (letters.code_of(IDENTITY), list(letters.identities())) == (None, [])
        letters.put([letter("1", identity=IDENTITY), letter("2", identity=ALIKE[0]), letter("3")])
        assert letters.code_of(IDENTITY) == "malformed"
        letters.end("1", DISCARDED)
        assert (letters.find(IDENTITY), letters.code_of(IDENTITY)) == (None, "malformed")
        assert letters.code_of(ALIKE[1]) is None
        assert set(letters.identities()) == {IDENTITY, ALIKE[0]}

    def test_what_was_put_since_a_mark(self, letters: DeadLetters) -> None:
        """Promise 2: whoever takes in what is new by the mark misses none, also of those that have gone meanwhile.

        What was put before is not among it while it is there: nobody reads all that there is for one that is new.
        """
        letters.put([letter(f"{n}", identity=IDENTITY._replace(sequence=n)) for n in range(4)])
        letters.end("0", DISCARDED)
        mark = letters.mark()
        assert {one.sequence for one in letters.identities_since(mark)} <= {0}
        assert {one.sequence for one in letters.identities_since(0)} == {0, 1, 2, 3}
        letters.put([letter("2", identity=IDENTITY), letter("a")])
        letters.put([letter(f"b{n}", identity=IDENTITY._replace(sequence=n)) for n in range(20, 50)])
        letters.end("1", DISCARDED)
        letters.replace(structs.replace(letter("3", identity=IDENTITY._replace(sequence=3)), tried_at=NOW_MS))
        for n in range(21, 40):
            letters.end(f"b{n}", DISCARDED)
        since = {one.sequence for one in letters.identities_since(mark)}
        assert since >= set(range(20, 50))
        assert not since.intersection({2, 3, IDENTITY.sequence})
        assert since <= {one.sequence for one in letters.identities()}
        for taken_in_up_to in range(mark, letters.mark()):
            put_then = 20 + taken_in_up_to - (mark + 1)  # of the first letter after that mark; "a" names no update
            found = {one.sequence for one in letters.identities_since(taken_in_up_to)}
            assert found >= set(range(max(put_then, 20), 50))
        letters.forget(2 * NOW_MS, 0, limit=100)
        assert {one.sequence for one in letters.identities_since(mark)} == {20, *range(40, 50)}

    def test_expiring(self, letters: DeadLetters) -> None:
        """What was found before a time goes, and of more than are to be kept those first that were put first."""
        found = [structs.replace(letter(f"{9 - n}", identity=IDENTITY), at=NOW_MS + n % 3) for n in range(9)]
        letters.put(found)
        assert letters.expire(NOW_MS, 9, at=NOW_MS + 50, limit=100) == 0
        assert letters.expire(NOW_MS + 1, 9, at=NOW_MS + 50, limit=2) == 2
        assert letters.expire(NOW_MS + 1, 4, at=NOW_MS + 51, limit=100) == 3
        assert sorted(letters.list(), key=found.index) == found[4:6] + found[7:]
        assert [gone.letter_id for gone in letters.gone()] == ["9", "6", "3", "8", "7"]
        assert letters.gone()[4].ending == Ending(End.EXPIRED, NOW_MS + 51)
        assert letters.expire(0, 0, at=NOW_MS, limit=3) == 3

    def test_erasing(self, letters: DeadLetters) -> None:
        """The player's letters go, and no word of them or of why others had gone stays; what they were does."""
        letters.put([letter(f"{n}", identity=one) for n, one in enumerate([IDENTITY, *ALIKE])] + [letter("x")])
        letters.end("0", DISCARDED)
        assert letters.erase("anna", at=NOW_MS + 7, before="2") == 1
        assert letters.erase("anna", at=NOW_MS + 8) == 2
        assert letters.erase("anna", at=NOW_MS + 9) == 0
        assert [one.letter_id for one in letters.list()] == ["3", "x"]
        assert [gone.ending for gone in letters.gone()] == [
            structs.replace(DISCARDED, reason=""),
            Ending(End.ERASED, NOW_MS + 7),
            Ending(End.ERASED, NOW_MS + 8),
            Ending(End.ERASED, NOW_MS + 8),
        ]
        assert letters.code_of(IDENTITY) == letters.code_of(ALIKE[0]) == "malformed"

    def test_forgetting(self, letters: DeadLetters) -> None:
        """Records of letters that went before a time go, and of more than are kept those first that are oldest."""
        letters.put([letter(f"{n}") for n in range(9)])
        for n in range(9):
            letters.end(f"{n}", structs.replace(DISCARDED, at=NOW_MS + n % 3))
        assert letters.forget(NOW_MS, 9, limit=100) == 0
        assert letters.forget(NOW_MS + 1, 9, limit=2) == 2
        assert letters.forget(NOW_MS + 1, 4, limit=100) == 3
        assert [gone.letter_id for gone in letters.gone()] == ["4", "5", "7", "8"]
        assert letters.forget(0, 0, limit=3) == 3

    def test_how_far_an_own_producers_dead_are_forgotten(self, letters: DeadLetters) -> None:
        """Promise 2: below that nobody may take one of them for applied. Of clients' producers it is not needed."""
        earlier = structs.replace(letter("2"), identity=Identity("@local.ab.1", 3, "bob", "rank"))
        letters.put([letter("1", identity=OWN), earlier, letter("3", identity=IDENTITY)])
        for one in ("1", "2", "3"):
            letters.end(one, DISCARDED)
        assert (letters.forgotten_up_to(OWN.producer), letters.code_of(OWN)) == (0, "malformed")
        assert letters.forget(NOW_MS + 6, 0, limit=2) == 2
        assert (letters.forgotten_up_to(OWN.producer), letters.code_of(OWN)) == (OWN.sequence, None)
        letters.forget(NOW_MS + 6, 0, limit=2)
        assert (letters.forgotten_up_to(IDENTITY.producer), letters.code_of(IDENTITY)) == (0, None)

    @pytest.mark.usefixtures("durable")
    def test_the_record_outlives_a_crash(self, path: Path) -> None:
        """A letter is there or its record is, and what is forgotten stays forgotten."""
        with self.open(path) as letters:
            letters.put([letter("1", identity=IDENTITY), letter("2", identity=OWN)])
            letters.end("2", DISCARDED)
            letters.forget(NOW_MS + 6, 9, limit=9)
            letters.end("1", DISCARDED)
            copy = self.crashed(path)
        for where in (copy, path):
            with self.open(where) as letters:
                assert (letters.list(), [gone.letter_id for gone in letters.gone()]) == ([], ["1"])
                assert (letters.code_of(IDENTITY), letters.forgotten_up_to(OWN.producer)) == ("malformed", 65_540)

    @pytest.mark.usefixtures("durable")
    def test_outlive_a_crash(self, path: Path) -> None:
        """Letters that were put are in the files, those that were removed are not, however the process ended."""
        with self.open(path) as letters:
            letters.put([letter("1", identity=IDENTITY), letter("2")])
            letters.end("2", DISCARDED)
            copy = self.crashed(path)
        for where in (copy, path):
            with self.open(where) as letters:
                assert letters.list() == [letter("1", identity=IDENTITY)]
                assert letters.find(IDENTITY) == letter("1", identity=IDENTITY)
