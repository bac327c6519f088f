"""Recheck: changes are looked up at their ages, what is stuck is found, and what is late as a whole is put off."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, Kind, Repair
from playerstate.core.lookups import Lookup, Seen, Shown, decode_lookup, encode_lookup, packed
from playerstate.core.model import Key, View
from playerstate.core.rechecks import AGES_S
from playerstate.core.suspicions import Suspicions
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.recheck import PUT_OFF_MAX, STUCK_AFTER_S, Recheck
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Verified, Verify
from playerstate.stages.verify_once import VerifyOnce
from playerstate.stages.walk import Walk
from stages.world import NOW_MS, REGION, World, add

GOLD = Key("ada", "gold")


class Rechecking(World):
    """A world with the stage, whose verification takes what has been stuck for as long as its messages say."""

    def __init__(self) -> None:
        super().__init__()
        self.why_behind = ""
        self.rechecks = MemoryQueue(self.clock, Random(0))
        self.recheck = Recheck(self.cache, self.rechecks, self.patient(), self.clock, behind=lambda _: self.why_behind)

    def patient(self) -> VerifyOnce:
        compared = Verified(self.store, self.store.changes, self.checkpoints, self.cache, self.graph, self.audit)

        def begin(repair: bool) -> Inquiry:
            return Inquiry(
                REGION,
                Verify(self.schema, REGION, compared),
                Repairs(self.schema, REGION, compared, self.clock),
                self.findings,
                self.clock,
                Suspicions(lambda _: STUCK_AFTER_S * 1000),
            )

        return VerifyOnce(Walk(compared), begin, self.store.count, Random(0), lambda _: None)

    def shown(self, version: str) -> Shown:
        return Shown(*GOLD, version, self.clock.now_ms(), self.clock.now_ms())

    def waiting(self) -> list[Lookup]:
        """What the stage has sent to its queue, and takes now."""
        return [lookup for message in self._received() for lookup in decode_lookup(message)]

    def _received(self) -> list[bytes]:
        messages = self.rechecks.receive(100, visibility_s=1)
        self.rechecks.delete([message.receipt for message in messages])
        return [message.body for message in messages]

    def run_until_quiet(self, lookups: Sequence[Lookup]) -> list[int]:
        """Take messages as their delays pass; the times (s) at which something was looked at."""
        began, times = self.clock.now_ms(), []
        self.recheck.handle(lookups)
        while self.rechecks.depth():
            taken = self.waiting()
            if taken:
                times.append((self.clock.now_ms() - began) // 1000)
                self.recheck.handle(taken)
            else:
                self.clock.advance(1_000)
        return times


def written(world: Rechecking) -> None:
    """Write gold twice, both of which the cache has seen."""
    world.put_updates(add(1))
    world.step_all()
    world.put_updates(add(1, sequence=2))
    world.step_all()


def set_back(world: Rechecking) -> None:
    """Have the cache hold the first version only."""
    world.cache.replace([View(*GOLD, f"{REGION}:1", msgspec.Raw(b"1"))])


def test_what_is_there_is_right_at_every_age() -> None:
    """One look is enough, and nothing is sent."""
    world = Rechecking()
    written(world)
    assert world.run_until_quiet(packed([world.shown(f"{REGION}:2")])) == []
    assert world.recheck.done.right == dict.fromkeys(AGES_S, 1) == world.recheck.done.judged
    assert world.recheck.done.checked == 1


def test_what_was_shown_late_was_not_right_at_the_first_age() -> None:
    """A change that project has shown after three seconds was right within 5 s, and not within 1 s."""
    world = Rechecking()
    written(world)
    shown = Shown(*GOLD, f"{REGION}:2", NOW_MS, NOW_MS + 3_000)
    world.run_until_quiet(packed([shown]))
    assert world.recheck.done.right == {1: 0, 5: 1, 60: 1, 300: 1}
    assert world.recheck.done.judged == dict.fromkeys(AGES_S, 1)


def test_what_the_cache_does_not_hold_is_a_miss() -> None:
    """An evicted player is no disagreement, and counted apart."""
    world = Rechecking()
    written(world)
    world.cache.clear()
    world.run_until_quiet(packed([world.shown(f"{REGION}:2")]))
    assert (world.recheck.done.misses, world.recheck.done.judged.total()) == (1, 0)


def test_what_never_comes_is_looked_up_at_every_age_and_found() -> None:
    """At 5, 60 and 300 s; then it is stale, on record, and put right."""
    world = Rechecking()
    written(world)
    set_back(world)
    assert world.run_until_quiet(packed([world.shown(f"{REGION}:2")])) == [5, 60, 300]
    (finding,) = world.findings.list()
    assert (finding.place, finding.kind, finding.repair) == (CACHE, Kind.STALE, Repair.REPAIRED)
    assert world.value("ada", "gold") == 2
    assert world.recheck.done.judged == dict.fromkeys(AGES_S, 1)
    assert world.recheck.done.right.total() == 0


def test_what_comes_late_is_no_finding() -> None:
    """It was wrong at the ages at which it was not there, and right from then on."""
    world = Rechecking()
    written(world)
    set_back(world)
    world.recheck.handle(packed([world.shown(f"{REGION}:2")]))
    world.clock.advance(5_000)
    world.recheck.handle(world.waiting())
    world.cache.replace([View(*GOLD, f"{REGION}:2", msgspec.Raw(b"2"))])
    world.clock.advance(55_000)
    world.recheck.handle(world.waiting())
    assert world.rechecks.depth() == 0
    assert world.recheck.done.right == {1: 0, 5: 0, 60: 1, 300: 1}
    assert world.findings.count() == 0


def test_what_lags_and_moves_is_no_finding() -> None:
    """A busy key that is always a little behind has never the same old version for long."""
    world = Rechecking()
    written(world)
    set_back(world)
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:0")  # it has moved on since
    since = world.clock.now_ms() - STUCK_AFTER_S * 1000
    world.run_until_quiet([Lookup(differences=[Seen(lag, since)])])
    assert world.findings.count() == 0


def test_what_lags_is_looked_at_until_it_is_stuck() -> None:
    """Not before the same old version has been there for as long as lag may last."""
    world = Rechecking()
    written(world)
    set_back(world)
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1")
    times = world.run_until_quiet([Lookup(differences=[Seen(lag, world.clock.now_ms())])])
    assert times == [60, 120, 180, 240, 300]
    (finding,) = world.findings.list()
    assert finding.kind is Kind.STALE
    assert world.value("ada", "gold") == 2


def test_late_as_a_whole_is_put_off() -> None:
    """While project is behind nothing is found, and it is said; when it has caught up, what is stuck is found."""
    world = Rechecking()
    written(world)
    set_back(world)
    world.why_behind = "project is behind"
    world.recheck.handle([Lookup(3, [world.shown(f"{REGION}:2")])])
    for _ in range(3):
        world.clock.advance(300_000)
        world.recheck.handle(world.waiting())
    assert world.findings.count() == 0
    assert world.recheck.done.not_checked["project is behind"] == 4
    world.why_behind = ""
    world.clock.advance(300_000)
    world.recheck.handle(world.waiting())
    assert world.findings.count() == 1


def test_putting_off_ends() -> None:
    """What could not be looked at for a day is let go, and counted."""
    world = Rechecking()
    world.why_behind = "nobody knows"
    seen = Seen(Difference(CACHE, GOLD, Kind.LAGGING, "a:2", "a:1"), NOW_MS)
    world.recheck.handle([Lookup(differences=[seen], put_off=PUT_OFF_MAX)])
    assert world.rechecks.depth() == 0
    assert world.recheck.done.not_checked["nobody knows"] == 1


def test_a_cache_that_is_away_fails_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message comes again; nothing is judged."""
    world = Rechecking()

    def away(_: Sequence[Key]) -> list[str | None]:
        raise Unavailable("no cache")

    monkeypatch.setattr(world.cache, "versions", away)
    with pytest.raises(Unavailable):
        world.recheck.handle(packed([world.shown(f"{REGION}:2")]))
    assert world.recheck.done.judged.total() == 0


def test_messages_are_read_as_they_were_written() -> None:
    """Lookups go through a queue unchanged; what is none is refused, also one of an age that there is not."""
    world = Rechecking()
    seen = Seen(Difference(CACHE, GOLD, Kind.LAGGING, "a:2", "a:1"), NOW_MS)
    lookup = Lookup(2, [world.shown("a:1")], [seen], 7)
    assert decode_lookup(encode_lookup(lookup)) == [lookup]
    for body in (b"", b"[]", b'{"age": "x"}', b'{"age": 4}', b'{"age": -1}', b'{"other": 1}', b"\xff"):
        with pytest.raises(InvalidUpdate):
            decode_lookup(body)


def test_many_changes_make_bounded_messages() -> None:
    """However many there are."""
    world = Rechecking()
    lookups = packed([world.shown("a:1")] * 1_001)
    assert sum(len(lookup.changes) for lookup in lookups) == 1_001
    assert max(len(encode_lookup(lookup)) for lookup in lookups) < 64_000
