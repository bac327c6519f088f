"""Recheck: changes are looked up at their ages, what is stuck is found, and what is late as a whole is put off."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from aws.cloud import Told
from aws.envelopes import sqs_event
from playerstate.backends.aws.emf import CHANGES_CHECKED, CHANGES_RIGHT, FINDINGS, REPAIRS
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.answers import Compared
from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, Kind, Repair
from playerstate.core.lookups import DELAY_MAX_S, Lookup, Seen, Shown, decode_lookup, delay_s, encode_lookup, packed
from playerstate.core.model import Key, View
from playerstate.core.rechecks import AGES_S
from playerstate.core.suspicions import Suspicions
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.lambdas import recheck
from playerstate.ports.queue import Message
from playerstate.stages.inquiry import Inquiry
from playerstate.stages.recheck import PUT_OFF_MAX, STUCK_AFTER_S, Recheck
from playerstate.stages.repairs import Repairs
from playerstate.stages.verify import Verified, Verify
from playerstate.stages.verify_once import Looked, VerifyOnce
from playerstate.stages.walk import Walk
from stages.world import NOW_MS, REGION, World, add

GOLD = Key("ada", "gold")


class Rechecking(World):
    """A world with the stage, whose verification takes what has been stuck for as long as its messages say."""

    def __init__(self) -> None:
        super().__init__()
        self.why_behind = ""
        self.rechecks = MemoryQueue(self.clock, Random(0))
        self.recheck = Recheck(self.cache, self.rechecks, self.patient(), self.clock, behind=lambda *_: self.why_behind)

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


def away(*_: Any, **__: Any) -> Any:
    raise Unavailable("it is away")


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
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1")
    world.recheck.handle([Lookup(differences=[Seen(lag, world.clock.now_ms())])])
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


def test_what_a_silent_cache_keeps_from_being_looked_up_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted as not checked, judged at no age, and looked up once the cache answers; for a day at most."""
    world = Rechecking()
    written(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.cache, "versions", away)
        world.recheck.handle(packed([world.shown(f"{REGION}:2")] * 2))
        assert world.recheck.done.judged.total() == 0
        assert world.recheck.done.not_checked.total() == 2
        world.recheck.handle([Lookup(0, [world.shown(f"{REGION}:2")], put_off=PUT_OFF_MAX)])
        assert world.rechecks.depth() == 1
    world.clock.advance(300_000)
    ((lookup,), before) = world.waiting(), world.recheck.done.checked
    world.recheck.handle([lookup])
    assert (lookup.put_off, len(lookup.changes), before, world.recheck.done.checked) == (1, 2, 0, 2)


def test_what_project_has_shown_is_not_explained_by_its_lag() -> None:
    """A change is looked up because project has processed it: nobody asks how far project is."""
    world = Rechecking()
    written(world)
    set_back(world)
    world.why_behind = "project is behind"
    world.run_until_quiet(packed([world.shown(f"{REGION}:2")]))
    (finding,) = world.findings.list()
    assert finding.kind is Kind.STALE


def test_a_late_look_tells_nothing_of_the_ages_before_it() -> None:
    """The look for 5 s came after 250 s: what is there then may have come long after 5 s, and after 60 s."""
    world = Rechecking()
    written(world)
    set_back(world)
    world.recheck.handle(packed([world.shown(f"{REGION}:2")]))
    world.clock.advance(250_000)
    world.cache.replace([View(*GOLD, f"{REGION}:2", msgspec.Raw(b"2"))])
    world.recheck.handle(world.waiting())
    assert world.recheck.done.right == {1: 0, 5: 0, 60: 0, 300: 1}
    assert world.recheck.done.judged == {1: 1, 5: 0, 60: 0, 300: 1}


def test_nothing_counts_and_nothing_is_sent_twice_when_a_message_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault at the second message: the first one comes again, and is judged and sent on once."""
    world = Rechecking()
    written(world)
    set_back(world)
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1")
    lookups = [*packed([world.shown(f"{REGION}:2")]), Lookup(differences=[Seen(lag, world.clock.now_ms())])]

    def fault(*_: Any, **__: Any) -> Any:
        raise TypeError("nobody thought of that")

    with monkeypatch.context() as patch:
        patch.setattr(VerifyOnce, "again", fault)
        for _ in range(2):
            with pytest.raises(TypeError):
                world.recheck.handle(lookups)
    assert (world.recheck.done.judged.total(), world.rechecks.depth()) == (0, 0)
    world.recheck.handle(lookups)
    assert (world.recheck.done.judged[1], world.rechecks.depth()) == (1, 2)


def test_what_was_put_off_and_never_came_keeps_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away at the last age: the change is put off once more than before, and not for ever."""
    world = Rechecking()
    written(world)
    set_back(world)
    monkeypatch.setattr(world.store, "load_player", away)
    world.recheck.handle([Lookup(3, [world.shown(f"{REGION}:2")], put_off=7)])
    world.clock.advance(300_000)
    (lookup,) = world.waiting()
    assert (lookup.put_off, len(lookup.changes), world.recheck.done.judged.total()) == (8, 1, 0)
    monkeypatch.undo()
    monkeypatch.setattr(world.cache, "inspect", away)
    world.recheck.handle([lookup])
    world.clock.advance(300_000)
    (lookup,) = world.waiting()
    assert (lookup.put_off, len(lookup.differences)) == (9, 1)


def test_a_silent_cache_is_waited_for_with_what_lags(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be compared, so that nobody knows whether it still lags: it is looked at later, one put-off on."""
    world = Rechecking()
    written(world)
    set_back(world)
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1")
    monkeypatch.setattr(world.cache, "inspect", away)
    world.recheck.handle([Lookup(differences=[Seen(lag, world.clock.now_ms())], put_off=3)])
    world.clock.advance(300_000)
    (lookup,) = world.waiting()
    assert ([seen.difference for seen in lookup.differences], lookup.put_off) == ([lag], 4)


def test_an_open_finding_is_tried_until_it_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays one finding, which is counted once, and once more when it has been put right."""
    world = Rechecking()
    written(world)
    set_back(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.cache, "repair", away)
        shown = world.shown(f"{REGION}:2")
        world.clock.advance(300_000)
        world.recheck.handle([Lookup(3, [shown])])
        (open_,) = world.findings.list()
        assert open_.repair is Repair.FAILED
        world.clock.advance(300_000)
        world.recheck.handle(world.waiting())
        assert len(world.recheck.done.findings) == 1
    world.clock.advance(300_000)
    world.recheck.handle(world.waiting())
    (closed,) = world.findings.list()
    assert (closed.finding_id, closed.repair) == (open_.finding_id, Repair.REPAIRED)
    assert [one.repair for one in world.recheck.done.findings] == [Repair.FAILED, Repair.REPAIRED]
    assert world.rechecks.depth() == 0


def test_ways_are_asked_of_the_oldest_of_each_place() -> None:
    """What one place waits for explains nothing in another; the oldest that lags says whether the way is late."""
    world = Rechecking()
    written(world)
    set_back(world)
    asked: dict[str, int] = {}

    def behind(place: str, since: int) -> str:
        asked[place] = since
        return "link is behind" if place == GRAPH else ""

    world.recheck = Recheck(world.cache, world.rechecks, world.patient(), world.clock, behind=behind)
    places = ((CACHE, 400_000), (CACHE, 1_000), (GRAPH, 400_000), (GRAPH, 2_000))
    seen = [
        Seen(Difference(place, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1"), NOW_MS - ago) for place, ago in places
    ]
    now = world.clock.now_ms()
    world.recheck.handle([Lookup(differences=[one._replace(since=one.since + now - NOW_MS) for one in seen])])
    assert asked == {CACHE: now - 400_000, GRAPH: now - 400_000}
    assert [one.place for one in world.findings.list()] == [CACHE]
    assert world.recheck.done.not_checked == {"link is behind": 2}


def test_what_never_came_counts_since_its_first_change() -> None:
    """Two changes of a key, the first of them 300 s old: the key is stuck since then."""
    world = Rechecking()
    written(world)
    set_back(world)
    now = world.clock.now_ms()
    changes = [Shown(*GOLD, f"{REGION}:2", now - ago, now - ago) for ago in (300_000, 299_000)]
    world.recheck.handle([Lookup(3, changes)])
    (finding,) = world.findings.list()
    assert finding.first_seen_at <= now - 300_000


def test_what_was_not_stuck_long_enough_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What still lags at 300 s, without having become a finding, is left to the samples."""
    world = Rechecking()
    written(world)
    set_back(world)
    lag = Difference(CACHE, GOLD, Kind.LAGGING, f"{REGION}:2", f"{REGION}:1")
    looked = Looked(Compared("", 0, 0, {}, {}, {}, []), [lag], set(), set())
    monkeypatch.setattr(VerifyOnce, "again", lambda *_, **__: looked)
    since = world.clock.now_ms() - STUCK_AFTER_S * 1000
    world.recheck.handle([Lookup(differences=[Seen(lag, since)])])
    assert world.rechecks.depth() == 0
    world.recheck.handle([Lookup(differences=[Seen(lag, since + 1)])])
    assert world.rechecks.depth() == 1


def test_no_message_is_held_back_for_longer_than_sqs_can() -> None:
    """A change by a clock that is ahead of this one."""
    assert delay_s(0, [NOW_MS + 3_600_000], NOW_MS) == DELAY_MAX_S


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


def test_the_function_tells_what_came_of_it_once() -> None:
    """Changes by age, findings, and what was not checked; the next call tells its own only."""
    world = Rechecking()
    written(world)
    set_back(world)
    settings = {"project_function": "", "link_queue_url": "https://sqs.aws/1/link"}
    wiring = SimpleNamespace(
        cache=world.cache,
        clock=world.clock,
        clients=None,
        dead_letters=world.dead_letters,
        overflow=None,
        environment=SimpleNamespace(text=lambda setting: settings[setting.name]),
        queue=lambda _: world.rechecks,
        verify_once=lambda **_: world.patient(),
    )
    told = Told()
    function = recheck.make(cast("Any", wiring), told)
    shown = world.shown(f"{REGION}:2")
    world.clock.advance(300_000)
    message = Message("m", encode_lookup(Lookup(3, [shown])), 1)
    for _ in range(2):  # the second time the cache is right, and the look in time
        assert function(sqs_event([message])) == {"batchItemFailures": []}
    assert (told.total(CHANGES_CHECKED, "300"), told.total(CHANGES_RIGHT, "300")) == (2, 1)
    assert told.total(FINDINGS, CACHE, "stale") == told.total(REPAIRS, "repaired") == 1
