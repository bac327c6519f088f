"""Changes of other regions do not say when they came; they go when they have been here for long enough."""

from __future__ import annotations

from itertools import count

import pytest

from builders import NOW_MS, write
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints
from playerstate.core.model import Key
from playerstate.runtime import old_changes
from playerstate.runtime.old_changes import OldChanges
from playerstate.settings import Retention

HOUR = 3_600_000


class Here:
    """A region that others' rows come to, and what of their changes is old."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.store = MemoryStore()
        self.checkpoints = MemoryCheckpoints()
        self.passed_s = 0.0
        self.kept_h = 24.0
        self._numbers = count()
        self.start()

    def start(self) -> None:
        """As a process does."""

        def kept() -> Retention:
            return Retention(stream_hours=self.kept_h)

        self.old = OldChanges(
            self.store.changes, "eu-west-1", kept, self.clock, self.checkpoints, monotonic=lambda: self.passed_s
        )

    def comes(self, n: int, region: str = "us-east-1") -> None:
        """Changes, one for each of so many keys."""
        for _ in range(n):
            assert self.store.commit([[write(Key("ada", f"k{next(self._numbers)}"), 1, region=region)]]) == [True]

    def pass_hours(self, hours: float) -> list[int]:
        """Time in which it is looked again and again: up to where what is old goes, as often as something does."""
        went: list[int] = []
        for _ in range(int(hours * 4)):
            self.passed_s += 900
            self.clock.advance(900_000)
            while old := self.old.up_to():
                self.store.changes.trim(old)
                went.append(old)
        return went


def test_changes_of_others_go_in_their_time() -> None:
    """Not before it has passed, little after, and whatever of the region's own lies behind them."""
    here = Here()
    here.old.up_to()
    here.comes(600)
    here.comes(600, "eu-west-1")
    assert here.pass_hours(24) == []
    assert here.pass_hours(4)[-1] == 1200
    here.comes(10)
    assert here.pass_hours(23) == []
    assert here.pass_hours(5)[-1] == 1210


def test_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, and never as fast as they can be read where somebody needs them still."""
    monkeypatch.setattr(old_changes, "LOOKED_AT", 4)
    here = Here()
    here.comes(10)
    assert here.pass_hours(30) == [4, 8, 10]
    here.comes(10)
    here.passed_s += 30 * 3600
    here.old.up_to()
    here.passed_s += 30 * 3600
    assert [here.old.up_to() for _ in range(4)] == [14, 14, 0, 0]


def test_starts_do_not_begin_anew() -> None:
    """A node that is restarted every few hours lets go of them too."""
    here = Here()
    here.comes(5)
    for _ in range(4):
        assert here.pass_hours(5) == []
        here.start()
    assert here.pass_hours(8) == [5]


def test_no_clock_makes_them_old() -> None:
    """Only time that has passed does; it is the region's own changes that go by the clock."""
    here = Here()
    here.comes(5)
    here.clock.advance(900 * 24 * HOUR)
    assert here.pass_hours(20) == []
    here.clock.advance(-990 * 24 * HOUR)
    assert here.pass_hours(8) == [5]


def test_marks_of_a_file_that_has_gone_are_forgotten() -> None:
    """What is in another store has come later, though its positions are lower."""
    here = Here()
    here.comes(50)
    here.pass_hours(20)
    here.store = MemoryStore()
    here.start()
    here.comes(5)
    here.pass_hours(1)
    here.comes(60)
    here.start()
    assert here.pass_hours(20) == []
    assert here.pass_hours(8)[-1] == 65


def test_another_time_to_keep_them_is_heeded() -> None:
    """At once where it is shorter, after that time where it is longer."""
    here = Here()
    here.comes(5)
    here.pass_hours(10)
    here.kept_h = 5
    assert here.pass_hours(1) == [5]
    here.comes(5)
    here.kept_h = 100
    assert here.pass_hours(98) == []
    assert here.pass_hours(20) == [10]
