"""The producer memory against one without bounds: once only, and outcomes that never change, whatever is delivered.

Two regions process what clients and their own accept stages send: in line, with numbers left out, late, redelivered by
the stream, retried, and sent to the other region, while rows replicate late and in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest import mock

import hypothesis
import pytest
from hypothesis import strategies as st

from core.worlds import Tape
from playerstate.core import producers
from playerstate.core.model import Outcome, Reason, Status
from playerstate.core.producers import Irregular, MemoryFull, Novelty, Part, Seen, recall, remember
from playerstate.core.version_vector import join as join_vectors

REGIONS = ("a", "b")
CLIENTS = ("x", "y", "z", "w")
RETENTION_MS = 48
STREAM_RETENTION_MS = 40
REFUSED = Outcome(Status.REFUSED, Reason.INSUFFICIENT)
APPLIED = Outcome(Status.APPLIED)
OUTCOMES = (APPLIED, APPLIED, REFUSED, Outcome(Status.SUPERSEDED))
EXPIRED = Outcome(Status.EXPIRED)

given_traffic = hypothesis.given(commands=st.integers(1, 60), tape=st.binary(min_size=400, max_size=400).map(Tape))


class Sent(NamedTuple):
    """An update; a retry is the same."""

    producer: str
    sequence: int
    sent_at: int


class Record(NamedTuple):
    """An update as it lies on a region's stream."""

    region: str
    update: Sent
    accepted_at: int


class Processed(NamedTuple):
    """What the reference remembers, for ever: step `n` of a region came to an outcome."""

    update: Sent
    region: str
    n: int
    outcome: Outcome


@dataclass
class Replica:
    """A region's memory with its vector."""

    vector: dict[str, int] = field(default_factory=dict)
    memory: dict[str, Part] = field(default_factory=dict)


@dataclass
class Traffic:
    """Two regions, their streams, and everything that ever came of anything."""

    tape: Tape
    now: int = 1000
    replicas: dict[str, Replica] = field(default_factory=lambda: {region: Replica() for region in REGIONS})
    written: list[Replica] = field(default_factory=lambda: [Replica()])
    streams: list[Record] = field(default_factory=list)
    left_out: list[Sent] = field(default_factory=list)
    lines: dict[str, Sent] = field(default_factory=dict)
    processed: list[Processed] = field(default_factory=list)
    expired_for_memory: int = 0

    def go_on(self) -> None:
        """One more thing happens."""
        self.now += self.tape.pick([1, 1, 0, 5, 15])
        region = self.tape.pick(REGIONS)
        match self.tape.number(8):
            case 0 | 1 | 2:
                self.accept(region, self.next_of(self.tape.pick([*CLIENTS, f"@{region}"])))
            case 3 if self.left_out:
                self.accept(region, self.tape.pick(self.left_out))
            case 4 if self.streams:
                record = self.tape.pick(self.streams)
                if self.now - record.accepted_at <= STREAM_RETENTION_MS:
                    self.process(record)
            case 5 if self.streams:
                update = self.tape.pick(self.streams).update
                if not update.producer.startswith("@"):
                    self.accept(region, update)
            case _:
                self.deliver(region, self.tape.pick(self.written))

    def next_of(self, producer: str) -> Sent:
        """A producer's next update; numbers that it leaves out may come later. Its clock may be slow, not go back."""
        last = self.lines.get(producer, Sent(producer, 0, 0))
        slow = {"x": 0, "y": 30, "z": -8}.get(producer, 3)
        sent = Sent(producer, last.sequence + self.tape.pick([1, 1, 1, 2, 4]), max(last.sent_at, self.now - slow))
        if not producer.startswith("@"):
            numbers = range(last.sequence + 1, sent.sequence)
            self.left_out += [Sent(producer, n, sent.sent_at) for n in numbers]
        self.lines[producer] = sent
        return sent

    def accept(self, region: str, update: Sent) -> None:
        """Put an update on a region's stream, which processes it."""
        record = Record(region, update, self.now)
        self.streams.append(record)
        self.process(record)

    def deliver(self, region: str, row: Replica) -> None:
        """The region joins a memory as it once was."""
        own = self.replicas[region]
        memory = producers.join(own.memory, own.vector, row.memory, row.vector)
        self.replicas[region] = Replica(join_vectors(own.vector, row.vector), memory)

    def process(self, record: Record) -> None:
        """Judge one record, and compare what the memory says with what is known for certain."""
        region, update, now = record
        if update.sent_at < now - producers.RETENTION_MS:
            return
        replica = self.replicas[region]
        known = [p for p in self.processed if replica.vector.get(p.region, 0) >= p.n]
        outcomes = [p.outcome for p in known if p.update == update]
        answer = recall(replica.memory, *update)
        assert answer == recall(dict(reversed(replica.memory.items())), *update)
        hypothesis.note(f"{region} {update} -> {answer}")
        if isinstance(answer, Novelty):
            assert not outcomes, "it would take effect twice"
            line = [p.update.sequence for p in known if p.update.producer == update.producer]
            if update.producer in {name for part in replica.memory.values() for name in part.producers}:
                assert (answer is Novelty.LATE) == (update.sequence < max(line))
            self.take_step(record, self.tape.pick(OUTCOMES))
        elif answer == EXPIRED:
            self.expired_for_memory += 1
        else:
            expected = [APPLIED] if APPLIED in outcomes else outcomes
            assert answer in [Outcome(o.status, o.reason, duplicate=True) for o in expected]

    def take_step(self, record: Record, outcome: Outcome) -> None:
        """The region remembers an outcome."""
        region, update, now = record
        replica = self.replicas[region]
        part = replica.memory.get(region, Part())
        try:
            after = remember(part, *update, outcome, now=now)
        except MemoryFull as exc:
            after, outcome = exc.part, Outcome(Status.REFUSED, Reason.TOO_MANY_PRODUCERS)
        assert after.horizon >= part.horizon
        n = replica.vector.get(region, 0) + 1
        self.replicas[region] = Replica({**replica.vector, region: n}, {**replica.memory, region: after})
        self.written.append(self.replicas[region])
        self.processed.append(Processed(update, region, n, outcome))


@contextmanager
def limits(**limits: int) -> Iterator[None]:
    """Other bounds for the time being."""
    with mock.patch.multiple(producers, **limits):
        yield


@given_traffic
def test_once_only_and_outcomes_that_never_change(commands: int, tape: Tape) -> None:
    """With bounds so tight that all are met: a repeat hears its outcome or `expired`, and never takes effect."""
    with limits(PRODUCERS_MAX=2, GAPS_MAX=2, REMEMBERED_REFUSALS_MAX=2, RETENTION_MS=RETENTION_MS):
        traffic = Traffic(tape)
        for _ in range(commands):
            traffic.go_on()
            for replica in traffic.replicas.values():
                for part in replica.memory.values():
                    assert_bounded(part)


@given_traffic
def test_within_the_bounds_nothing_is_forgotten(commands: int, tape: Tape) -> None:
    """With room enough every repeat hears its outcome, and every other update is let through."""
    traffic = Traffic(tape)
    for _ in range(commands):
        traffic.go_on()
    assert traffic.expired_for_memory == 0


def assert_bounded(part: Part) -> None:
    assert len(part.producers) <= producers.PRODUCERS_MAX
    for seen in part.producers.values():
        irregular = seen.irregular or Irregular()
        assert len(irregular.gaps) <= producers.GAPS_MAX
        assert len(irregular.not_applied) <= producers.REMEMBERED_REFUSALS_MAX
        ends = [irregular.floor, *(end for gap in irregular.gaps for end in gap), seen.last]
        assert ends == sorted(ends)
        assert all(irregular.floor < sequence <= seen.last for sequence in irregular.not_applied)


def after(*sequences: int, producer: str = "x", outcome: Outcome = APPLIED, part: Part | None = None) -> Part:
    """A memory that processed these sequences, each sent at the time of its number."""
    part = part or Part()
    for sequence in sequences:
        part = remember(part, producer, sequence, sequence, outcome, now=sequence)
    return part


def say(part: Part, sequence: int, producer: str = "x") -> Novelty | Outcome:
    """What the memory says of a sequence that was sent at the time of its number."""
    return recall({"a": part}, producer, sequence, sequence)


def test_a_number_that_was_left_out_may_come_late_and_once() -> None:
    """What is left out is a gap: it is late when it comes, and a repeat when it comes again."""
    part = after(1, 2, 5)
    assert [say(part, n) for n in (3, 4, 6)] == [Novelty.LATE, Novelty.LATE, Novelty.NEXT]
    part = after(4, part=part)
    assert say(part, 4) == Outcome(Status.APPLIED, duplicate=True)
    assert part.producers["x"].irregular == Irregular(gaps=[(3, 3)])


def test_a_plain_line_takes_no_room() -> None:
    """A producer that sends in line is two numbers, however many it sent."""
    assert after(*range(1, 500)).producers["x"] == Seen(499, 499)


def test_an_update_on_its_way_in_one_region_survives_the_next_one_in_another() -> None:
    """A client fails over: number 3 waits in region a while 4 takes effect in b. Then 3 is late, and no more."""
    a, b = after(1, 2), after(4)
    assert recall({"a": a, "b": b}, "x", 3, 3) is Novelty.LATE
    assert recall({"a": a, "b": b}, "x", 2, 2) == Outcome(Status.APPLIED, duplicate=True)


def test_an_update_that_two_regions_processed_took_effect_if_either_applied_it() -> None:
    """Whichever region is asked first."""
    refused, applied = after(1, outcome=REFUSED), after(1)
    for memory in ({"a": refused, "b": applied}, {"a": applied, "b": refused}):
        assert recall(memory, "x", 1, 1) == Outcome(Status.APPLIED, duplicate=True)


def test_a_refusal_is_not_told_where_another_region_may_have_forgotten_that_it_applied() -> None:
    """What was answered as applied may become `expired`, never refused."""
    refused, forgot = after(1, outcome=REFUSED), Part(horizon=1)
    assert recall({"a": refused, "b": forgot}, "x", 1, 1) == EXPIRED


def test_a_producer_met_again_by_a_lower_number_does_not_vouch_for_the_higher() -> None:
    """After a horizon its clock may be set back: what it had sent before the horizon may have been processed then."""
    met_again = remember(Part(horizon=100), "p", 1, 150, APPLIED, now=200)
    assert recall({"here": met_again}, "p", 5, sent_at=90) == Outcome(Status.EXPIRED)
    assert recall({"here": met_again}, "p", 5, sent_at=101) is Novelty.NEXT
    never_gone = remember(Part(horizon=100), "p", 1, 80, APPLIED, now=200)
    assert recall({"here": never_gone}, "p", 2, sent_at=90) is Novelty.NEXT


def test_gaps_beyond_the_bound_raise_the_floor() -> None:
    """The lowest gap is given up: what lies in it or below answers `expired`, what lies above is remembered."""
    odd = range(1, 2 * producers.GAPS_MAX + 6, 2)
    part = after(*odd)
    irregular = part.producers["x"].irregular
    assert irregular is not None
    assert (irregular.floor, len(irregular.gaps)) == (4, producers.GAPS_MAX)
    assert [say(part, n) for n in (1, 2, 3, 4)] == [EXPIRED] * 4
    assert [say(part, n) for n in (5, 6)] == [Outcome(Status.APPLIED, duplicate=True), Novelty.LATE]


def test_refusals_beyond_the_bound_raise_the_floor() -> None:
    """The lowest one is forgotten, and answers `expired` from then on, never that it was applied."""
    last = producers.REMEMBERED_REFUSALS_MAX + 2
    part = after(*range(1, last + 1), outcome=REFUSED)
    assert [say(part, n) for n in (1, 2)] == [EXPIRED, EXPIRED]
    refused = Outcome(Status.REFUSED, Reason.INSUFFICIENT, duplicate=True)
    assert [say(part, n) for n in (3, last)] == [refused, refused]


def test_accept_s_own_producers_leave_no_gaps() -> None:
    """Their numbers rise over all keys, so what is missing on this key belongs to another."""
    part = after(7, 9, 40, producer="@a.1")
    assert part.producers["@a.1"] == Seen(40, 40)
    assert say(part, 41, "@a.1") is Novelty.NEXT
    assert say(part, 9, "@a.1") == Outcome(Status.APPLIED, duplicate=True)


def test_accept_s_own_producer_that_was_forgotten_does_not_claim_what_it_refused() -> None:
    """When one comes back after it was forgotten, its lower numbers are `expired`, not applied."""
    part = after(7, producer="@a.1", outcome=REFUSED)
    later = 100 + RETENTION_MS
    with limits(RETENTION_MS=RETENTION_MS):
        part = remember(part, "x", 1, later, APPLIED, now=later)
        part = remember(part, "@a.1", 9, later, APPLIED, now=later)
    assert say(part, 7, "@a.1") == EXPIRED


def test_producers_not_seen_within_the_retention_go() -> None:
    """They go as soon as a new one comes, and the horizon rises to the last that they sent."""
    with limits(RETENTION_MS=RETENTION_MS):
        part = after(1, 2, 3)
        part = remember(part, "y", 1, 3 + RETENTION_MS, APPLIED, now=3 + RETENTION_MS)
        assert set(part.producers) == {"x", "y"}
        part = remember(part, "z", 1, 4 + RETENTION_MS, APPLIED, now=4 + RETENTION_MS)
    assert set(part.producers) == {"y", "z"}
    assert part.horizon == 3
    assert [say(part, n) for n in (1, 2, 3, 4)] == [EXPIRED, EXPIRED, EXPIRED, Novelty.NEXT]


def test_a_full_memory_refuses_new_producers_and_their_repeats() -> None:
    """Known producers go on; the refused one's repeats are `expired`, also where another region knows it."""
    part = Part()
    for n in range(producers.PRODUCERS_MAX):
        part = remember(part, f"x{n}", 1, 10, APPLIED, now=10)
    with pytest.raises(MemoryFull) as caught:
        remember(part, "x", 2, 11, APPLIED, now=11)
    full = caught.value.part
    assert full.producers == part.producers
    assert recall({"a": full}, "x", 2, 11) == EXPIRED
    assert recall({"a": full, "b": after(1)}, "x", 2, 11) == EXPIRED
    assert recall({"a": full}, "x0", 2, 11) is Novelty.NEXT
    assert remember(full, "x0", 2, 11, APPLIED, now=11).producers["x0"].last == 2
