"""Rechecks: how many changes could be seen by when, counted honestly, and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest

from playerstate.core.model import Key
from playerstate.core.rechecks import AGES_S, LATE_MS, Check, Rechecks, nines, reaches
from playerstate.errors import Unavailable

GOLD, BAG = Key("ada", "gold"), Key("ada", "bag")


class Cache:
    """A cache that holds what it is told, and knows how often it was asked."""

    def __init__(self, **held: str | None) -> None:
        self.held = held
        self.asked: list[list[Key]] = []

    def __call__(self, keys: Sequence[Key]) -> list[str | None]:
        self.asked.append(list(keys))
        return [self.held.get(key.state_key) for key in keys]


def taken(*versions: str, key: Key = GOLD, since: int = 0, **bounds: int) -> Rechecks:
    rechecks = Rechecks(**bounds)
    rechecks.take([Check(since, key, version) for version in versions])
    return rechecks


def shares(rechecks: Rechecks) -> list[tuple[int, int]]:
    """Right and judged, by age."""
    return [(rechecks.right[age_s], rechecks.judged[age_s]) for age_s in AGES_S]


def test_ages() -> None:
    """A change is looked up at one second, five, a minute and five minutes."""
    assert AGES_S == (1, 5, 60, 300)


def test_right_at_once_is_right_at_every_age() -> None:
    """What can be seen at the first look needs no other."""
    rechecks, cache = taken("a:1"), Cache(gold="a:1")
    assert rechecks.look(999, 10, cache) == []
    assert (rechecks.checked, cache.asked) == (0, [])
    assert rechecks.look(1000, 10, cache) == []
    assert (rechecks.checked, rechecks.waiting, shares(rechecks)) == (1, 0, [(1, 1)] * 4)


@pytest.mark.parametrize(
    ("right_at", "expected", "closer"),
    [
        (1, [(1, 1), (1, 1), (1, 1), (1, 1)], 0),
        (5, [(0, 1), (1, 1), (1, 1), (1, 1)], 0),
        (60, [(0, 1), (0, 1), (1, 1), (1, 1)], 1),
        (300, [(0, 1), (0, 1), (0, 1), (1, 1)], 2),
        (999, [(0, 1), (0, 1), (0, 1), (0, 1)], 3),
    ],
)
def test_right_from_an_age_on(right_at: int, expected: list[tuple[int, int]], closer: int) -> None:
    """What cannot be seen at one age is looked up at the next; from five seconds on it deserves a closer look."""
    rechecks, suspicious = taken("a:2"), []
    for second in range(400):
        suspicious += rechecks.look(second * 1000, 10, Cache(gold="a:2" if second >= right_at else "a:1"))
    assert shares(rechecks) == expected
    assert (rechecks.checked, rechecks.waiting, rechecks.misses) == (1, 0, 0)
    assert suspicious == [GOLD] * closer


@pytest.mark.parametrize(
    ("late_ms", "counted"),
    [
        (1000 + LATE_MS, [1, 1, 1, 1]),
        (1001 + LATE_MS, [0, 1, 1, 1]),
        (5001 + LATE_MS, [0, 0, 1, 1]),
        (300_001 + LATE_MS, [0, 0, 0, 0]),
    ],
)
def test_of_an_age_at_which_nobody_looked_nothing_is_said(late_ms: int, counted: list[int]) -> None:
    """A look that comes late is one at a later age; it says nothing good and nothing bad of the ages before."""
    rechecks = taken("a:1")
    rechecks.look(late_ms, 10, Cache(gold="a:1"))
    assert shares(rechecks) == [(n, n) for n in counted]
    assert rechecks.waiting == 0


def test_what_cannot_be_seen_late_could_not_be_seen_before() -> None:
    """So of an age that has passed without a look it is known that it was wrong then."""
    rechecks = taken("a:2")
    assert rechecks.look(70_000, 10, Cache(gold="a:1")) == [GOLD, GOLD]
    assert shares(rechecks) == [(0, 1), (0, 1), (0, 1), (0, 0)]
    assert rechecks.waiting == 1


def test_a_miss_is_no_fault() -> None:
    """Promise 8: what the cache does not have it does not show wrongly; it is counted, and not looked up again."""
    rechecks = taken("a:1")
    assert rechecks.look(1000, 10, Cache()) == []
    assert (rechecks.misses, rechecks.waiting, shares(rechecks)) == (1, 0, [(0, 0)] * 4)


def test_evicted_between_two_looks() -> None:
    """It was wrong at the first age, and of the others nothing is known."""
    rechecks = taken("a:2")
    rechecks.look(1000, 10, Cache(gold="a:1"))
    assert rechecks.look(5000, 10, Cache()) == []
    assert (rechecks.misses, rechecks.waiting, shares(rechecks)) == (1, 0, [(0, 1), (0, 0), (0, 0), (0, 0)])


def test_claimed_to_be_unwritten_is_wrong() -> None:
    """A cache that says that nobody wrote the key shows something wrong."""
    rechecks = taken("a:1")
    rechecks.look(1000, 10, Cache(gold=""))
    assert shares(rechecks)[0] == (0, 1)


def test_keys_are_asked_for_once() -> None:
    """Many changes of one key are one question, each judged by itself."""
    rechecks, cache = taken("a:1", "a:2", "a:3"), Cache(gold="a:2", bag="a:9")
    rechecks.take([Check(0, BAG, "a:9")])
    rechecks.look(1000, 10, cache)
    assert cache.asked == [[GOLD, BAG]]
    assert (shares(rechecks)[0], rechecks.waiting) == ((3, 4), 1)


def test_a_look_is_bounded() -> None:
    """The rest waits, in its order."""
    rechecks, cache = taken("a:1", "a:2", "a:3"), Cache(gold="a:3")
    rechecks.look(1000, 2, cache)
    assert (rechecks.checked, rechecks.waiting) == (2, 1)
    rechecks.look(1000, 2, cache)
    assert (rechecks.checked, rechecks.waiting) == (3, 0)


def test_what_waits_is_bounded() -> None:
    """Of more changes than may wait some are let go, and counted, at the first age and at later ones."""
    rechecks = taken(*["a:9"] * 5, waiting_max=3, late_max=2)
    assert (rechecks.waiting, rechecks.shed) == (3, 2)
    rechecks.look(1000, 10, Cache(gold="a:1"))
    assert (rechecks.waiting, rechecks.shed, rechecks.checked) == (2, 3, 3)
    rechecks.look(5000, 10, Cache(gold="a:9"))
    assert (rechecks.waiting, rechecks.shed) == (0, 3)


def test_a_cache_that_does_not_answer_loses_no_check() -> None:
    """They are all looked up when it does, at whatever age that is."""
    rechecks = taken("a:2", "a:1")

    def silent(_keys: Sequence[Key]) -> Sequence[str | None]:
        raise Unavailable("away")

    for now in (1000, 2000):
        with pytest.raises(Unavailable):
            rechecks.look(now, 10, silent)
    assert (rechecks.waiting, rechecks.checked) == (2, 0)
    rechecks.look(4000, 10, Cache(gold="a:1"))
    assert (rechecks.waiting, rechecks.checked) == (1, 2)
    assert shares(rechecks) == [(0, 1), (1, 1), (1, 1), (1, 1)]
    with pytest.raises(Unavailable):
        rechecks.look(5000, 10, silent)
    assert rechecks.look(60_000, 10, Cache(gold="a:2")) == []
    assert (rechecks.waiting, shares(rechecks)) == (0, [(0, 1), (1, 1), (2, 2), (2, 2)])


@pytest.mark.parametrize(
    ("found", "version", "reached"),
    [
        ("a:2", "a:2", True),
        ("a:10", "a:9", True),
        ("a:2,b:1", "a:2", True),
        ("a:3,b:7", "a:3,b:6", True),
        ("a:1,b:9", "a:2", False),
        ("b:9", "a:2", False),
        ("", "a:1", False),
        ("banana", "a:1", False),
        ("a:1234567890123456789", "a:1", False),
        ("a:2", "banana", False),
        ("banana", "banana", True),
    ],
)
def test_a_view_reaches_a_change_that_it_contains(found: str, version: str, reached: bool) -> None:
    """Whichever region's step brought it there; what is no version reaches nothing."""
    assert reaches(found, version) is reached


@pytest.mark.parametrize(
    ("right", "judged", "expected"), [(0, 0, inf), (9, 9, inf), (99, 100, 2.0), (999, 1000, 3.0), (0, 5, 0.0)]
)
def test_nines(right: int, judged: int, expected: float) -> None:
    """Two nines are 99 %; where nothing was wrong there is no end of them."""
    assert nines(right, judged) == pytest.approx(expected)
    assert str(nines(0, 5)) == "0.0"
