"""The audit log on InfluxDB: names that try to break out, large values, erasures that are interrupted or overtaken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from builders import KEY, NOW_MS, transition
from conformance.audit_deliveries import delivery
from conformance.suite import run_together
from influx import Influx
from playerstate.backends.aws import influx_audit, influx_erasures, influx_points
from playerstate.backends.aws.influx_audit import InfluxAudit
from playerstate.backends.aws.influx_http import InfluxServer, Row
from playerstate.backends.aws.influx_text import time_ns
from playerstate.backends.memory.clock import ManualClock
from playerstate.core.model import Key, Transition
from playerstate.errors import InvariantViolated, NotOffered, Unavailable
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX

CLOCK = ManualClock(NOW_MS)
EVERYTHING = [f"SELECT * FROM {name}" for name in ("transitions", "deliveries", "erasures")]


class Hooked:
    """A server whose calls somebody may come in between; `before` is told the number of a call, from 1 on."""

    def __init__(self, server: InfluxServer, before: Callable[[int], None]) -> None:
        self._server = server
        self._before = before
        self.calls = 0

    def write(self, lines: Sequence[str]) -> None:
        self._count()
        self._server.write(lines)

    def query(self, statements: Sequence[str]) -> list[list[Row]]:
        self._count()
        return self._server.query(statements)

    def _count(self) -> None:
        self.calls += 1
        self._before(self.calls)


class Fault(Unavailable):
    """A call that a test lets fail."""


@pytest.fixture
def server(influx: Influx) -> InfluxServer:
    return influx.server(influx.database())


@pytest.fixture
def audit(server: InfluxServer) -> InfluxAudit:
    return InfluxAudit(server, CLOCK, retention_days=0)


HOSTILE = [
    "o'brien",
    "' OR 1=1 --",
    '"; DROP MEASUREMENT transitions; --',
    "ends in \\",
    "\\' \\\" \\n",
    "a,b=c d",
    "玩家 \U0001f600",
    "2020-01-01T00:00:00Z",
    "$param /regex/ #{x}",
    " ",
    "x" * 2_000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(audit: InfluxAudit, name: str) -> None:
    """Whatever a player or a key is called, its entries are found by it, and nobody else's."""
    written = transition(player_id=name, state_key=name, before=msgspec.json.encode(name))
    others = [transition(player_id=name + other) for other in ("'", "\\", " ", '"')]
    came = delivery(player_id=name, state_key=name, producer=name)
    audit.append([written, *others])
    audit.note([came, delivery(player_id=name, state_key=name, producer=name + "'")])
    assert audit.history(name) == audit.history(name, name) == [written]
    assert audit.erase({Key(name, name): 1}) == 1
    assert (audit.history(name), audit.deliveries(name)) == ([], [])
    assert audit.count() == len(others)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(min_size=1, max_size=8), min_size=3, max_size=3))
def test_any_text(audit: InfluxAudit, texts: list[str]) -> None:
    """Texts come back character by character: names, and values with line ends and blanks in them."""
    player_id, state_key, value = texts
    before = b" { \n\t" + msgspec.json.encode(value) + b" : [\r\n] } "
    written = transition(player_id=player_id, state_key=state_key, before=before, region=value)
    audit.append([written])
    (kept,) = [one for one in audit.history(player_id, state_key) if one.region == value]
    assert kept == written
    assert bytes(kept.before) == before


@pytest.mark.parametrize("character", ["x", '"', "\\", "玩", "\U0001f600"])
def test_large_values(audit: InfluxAudit, server: InfluxServer, character: str) -> None:
    """The largest row's value comes back, and one that no single field would take; erasing leaves nothing of them."""
    large = msgspec.json.encode(character * 393_216)
    written = [transition(1, before=large, after=large), transition(2, before=large * 2, written_at=NOW_MS + 1)]
    written[1] = structs.replace(written[1], before=msgspec.Raw(b"[" + large + b"," + large + b"]"))
    audit.append(written)
    assert audit.history("anna") == written[::-1]
    assert audit.erase({KEY: 1}) == 2
    assert len(repr(server.query(EVERYTHING))) < 10_000


def test_no_series_is_made_for_a_player(audit: InfluxAudit, server: InfluxServer) -> None:
    """What is indexed grows with the number of slots, not with what anybody is called."""
    audit.append([transition(player_id=f"player-{n}", state_key=f"key-{n}", region=f"r{n}") for n in range(20)])
    audit.note([delivery(player_id="anna", producer="p")])
    audit.erase({KEY: 1})
    tags = [row["tagKey"] for rows in server.query(["SHOW TAG KEYS"]) for row in rows]
    assert sorted(tags) == ["shelf", "slot", "slot"]


def test_two_that_meet_at_one_time_are_both_kept(
    audit: InfluxAudit, server: InfluxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a batch, however often it comes again; and none leaves its millisecond, by which pages go."""
    monkeypatch.setattr(influx_points, "time_ns", lambda at_ms, *_: at_ms * 1_000_000 + 999_998)
    written = [transition(n, state_key=key) for key in ("gold", "rank") for n in range(1, 5)]
    for _ in range(2):
        audit.append(written + written)
    found = audit.history("anna", since=NOW_MS, before=NOW_MS + 1, limit=1)
    assert sorted(found, key=repr) == sorted(written, key=repr)
    assert audit.count() == len(written)


def test_points_of_a_players_life(audit: InfluxAudit) -> None:
    """Entries that lie a year apart and ones that follow each other are read alike, each once."""
    day_ms = 86_400_000
    written = [transition(n, written_at=NOW_MS + (n // 3) * 7 * day_ms + n) for n in range(1, 150)]
    audit.append(written)
    assert audit.history("anna", limit=1_000) == written[::-1]
    assert audit.history("anna", limit=70) == written[:-71:-1]


@pytest.mark.parametrize("written_at", [0, -1, 2**53, -(2**53)])
def test_clocks_that_are_wrong(audit: InfluxAudit, written_at: int) -> None:
    """A time that no clock should show holds up nothing, and comes back as it was told."""
    written = [transition(1, written_at=written_at), transition(2)]
    audit.append(written)
    assert sorted(audit.history("anna"), key=repr) == sorted(written, key=repr)


def test_nothing_of_an_erased_player_is_left(audit: InfluxAudit, server: InfluxServer) -> None:
    """Neither names nor values, not even in the record of the erasure; of others everything is."""
    mine = [transition(n, before=b'"secret"', player_id="annabel", written_at=NOW_MS + n) for n in range(1, 4)]
    audit.append([*mine, transition(player_id="bob")])
    audit.note([delivery(n, player_id="annabel", producer="hers") for n in range(3)])
    key = Key("annabel", "gold")
    assert audit.erase({key: 1}) == 3
    audit.append(mine)
    audit.note([delivery(player_id="annabel", producer="hers")])
    rest = repr(server.query(EVERYTHING))
    for word in ("annabel", "secret", "hers"):
        assert word not in rest
    assert audit.history("bob") == [transition(player_id="bob")]


@pytest.mark.parametrize("failing_call", range(1, 12))
def test_an_erasure_that_was_interrupted_is_made_whole(
    audit: InfluxAudit, server: InfluxServer, failing_call: int
) -> None:
    """Wherever its process fails, the same call again, from another one, leaves nothing and lets nothing in."""

    def fail(call: int) -> None:
        if call == failing_call:
            raise Fault

    audit.append([transition(n) for n in range(1, 4)])
    audit.note([delivery()])
    interrupted = Hooked(server, fail)
    gone = 0
    try:
        gone = InfluxAudit(interrupted, CLOCK).erase({KEY: 1})  # type: ignore[arg-type]
    except Fault:
        gone = InfluxAudit(server, CLOCK).erase({KEY: 1})
    else:
        assert interrupted.calls < failing_call
    assert gone in (0, 3)
    audit.append([transition(n) for n in range(1, 6)])
    audit.note([delivery(2)])
    assert (audit.count(), audit.deliveries("anna")) == (0, [])


@pytest.mark.parametrize("at_call", range(1, 5))
def test_an_erasure_that_overtakes_a_record(audit: InfluxAudit, server: InfluxServer, at_call: int) -> None:
    """Whenever it comes in between, nothing that it erased stays."""
    late = transition(1)
    overtaken = Hooked(server, lambda call: audit.erase({KEY: 1}) if call == at_call else None)  # type: ignore[func-returns-value]
    recorder = InfluxAudit(overtaken, CLOCK)  # type: ignore[arg-type]
    recorder.append([late])
    recorder.append([transition(9, epoch=1)])
    audit.erase({KEY: 1})
    assert audit.history("anna") == [transition(9, epoch=1)]


def test_erasing_and_recording_at_the_same_time(server: InfluxServer) -> None:
    """Consumers in several processes: of what was erased nothing is left, of what was not nothing is missing."""
    keys = [Key(f"player-{n}", "gold") for n in range(8)]
    old = [transition(n, player_id=key.player_id) for key in keys for n in (1, 2)]
    new = [transition(3, player_id=key.player_id, epoch=1) for key in keys]

    def record() -> None:
        audit = InfluxAudit(server, CLOCK)
        for one in old + new:
            audit.append([one])

    def erase() -> None:
        audit = InfluxAudit(server, CLOCK)
        for key in keys:
            audit.erase({key: 1})

    run_together(record, erase, record)
    audit = InfluxAudit(server, CLOCK)
    assert [audit.history(key.player_id) for key in keys] == [[one] for one in new]


def test_erasures_of_other_processes_are_heard_of(server: InfluxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process that has been running for long, and though clocks differ by minutes; in pages, if they are many."""
    monkeypatch.setattr(influx_erasures, "PAGE_ROWS_MAX", 3)
    clock = ManualClock(NOW_MS)
    running = InfluxAudit(server, clock)
    running.append([transition(player_id="nobody")])
    for minute, skew_min in enumerate((0, -4, 4), start=60):
        clock.set(NOW_MS + minute * 60_000)
        running.append([transition(player_id="nobody")])
        other = InfluxAudit(server, ManualClock(clock.now_ms() + skew_min * 60_000))
        keys = [Key(f"{minute}-{n}", "gold") for n in range(8)]
        other.erase(dict.fromkeys(keys, 1))
        running.append([transition(player_id=key.player_id) for key in keys])
        assert running.count() == 1


def test_what_is_done_is_not_done_again(audit: InfluxAudit, server: InfluxServer) -> None:
    """Every notice of a key that was erased once tells of it again: that is asked, and nothing is written."""
    audit.erase({KEY: 2})
    told = Hooked(server, lambda _: None)
    again = InfluxAudit(told, CLOCK)  # type: ignore[arg-type]
    for epoch in (2, 1, 0):
        assert again.erase({KEY: epoch}) == 0
    assert told.calls == 6  # the new marks, and this key's


def test_erasures_that_met_are_told_apart(audit: InfluxAudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that would lie at one time replace each other: they are made again until all are there."""
    monkeypatch.setattr(influx_erasures, "_shelf", lambda _: "00")
    monkeypatch.setattr(influx_erasures, "time_ns", lambda at_ms, *_: time_ns(at_ms, "one and the same"))
    keys = [Key(name, "gold") for name in ("anna", "bob", "cleo")]
    audit.erase(dict.fromkeys(keys, 1))
    audit.append([transition(player_id=key.player_id) for key in keys])
    assert audit.count() == 0


def test_what_is_past_the_retention_is_not_kept(influx: Influx) -> None:
    """And keeps nothing else out."""
    now_ms = time.time_ns() // 1_000_000
    audit = InfluxAudit(influx.server(influx.database("1d")), ManualClock(now_ms), retention_days=1)
    new = transition(2, written_at=now_ms)
    audit.append([transition(1, written_at=NOW_MS), new])
    assert audit.history("anna") == [new]
    assert audit.complete_since() == now_ms - 86_400_000


def test_what_is_past_the_retention_is_not_told(server: InfluxServer) -> None:
    """A server keeps points until their whole week is past it, and lets nobody blank them meanwhile."""
    clock = ManualClock(NOW_MS)
    audit = InfluxAudit(server, clock, retention_days=365)
    written = [transition(n, written_at=NOW_MS + n) for n in range(3)]
    audit.append(written)
    clock.advance(365 * 86_400_000 + 1)
    assert audit.history("anna") == audit.history("anna", since=0) == written[:0:-1]
    assert audit.history("anna", since=NOW_MS + 2) == written[2:]
    assert audit.complete_since() == NOW_MS + 1
    assert audit.erase({KEY: 1}) == 2


def test_a_log_without_retention_is_whole(server: InfluxServer) -> None:
    """A bucket that keeps everything has let go of nothing."""
    assert InfluxAudit(server, CLOCK, retention_days=0).complete_since() == 0


def test_what_is_not_offered(audit: InfluxAudit) -> None:
    """What the server cannot do is refused, and not passed over in silence."""
    for call in (partial(audit.trim, NOW_MS, limit=1), partial(audit.trim_first, 1), audit.bytes):
        with pytest.raises(NotOffered):
            call()


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_points_that_are_seen_in_part(audit: InfluxAudit, server: InfluxServer, limit: int) -> None:
    """As they are while they are written or blanked: they are passed over, and pages are as full as they should be."""
    points = influx_points.points([transition(n, written_at=NOW_MS + n) for n in range(1, 10)])
    blanked, written, whole = points[::3], points[1::3], points[2::3]
    server.write([point.line for point in blanked + whole])
    server.write([f'{p.place.measurement},slot={p.place.slot} body="" {p.place.at_ns}' for p in blanked])
    server.write([point.line.replace("body=", "other=") for point in written])

    def page_after(last: Transition | None) -> list[Transition]:
        return audit.history("anna", before=last.written_at if last else None, limit=limit)

    first = page_after(None)
    assert len(first) == limit
    assert first + (page_after(first[-1]) if limit < 3 else []) == [p.entry for p in whole[::-1]][: 2 * limit]


@pytest.mark.parametrize("seen", ["epoch=5i", "done=0i"])
def test_a_mark_that_is_seen_in_part(audit: InfluxAudit, server: InfluxServer, seen: str) -> None:
    """It is not there yet: whoever writes it looks for what it erases when it is."""
    whole = influx_erasures._line(KEY, influx_erasures.Mark(5, False), NOW_MS)
    missing = "done=0i" if seen.startswith("epoch") else "epoch=5i"
    server.write([whole.replace(f",{missing}", "")])
    audit.append([transition(1)])
    assert audit.history("anna") == [transition(1)]
    assert audit.erase({KEY: 5}) == 1


def test_much_is_erased(audit: InfluxAudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, some at a time."""
    monkeypatch.setattr(influx_audit, "BLANKED_AT_ONCE_MAX", 3)
    audit.append([transition(n, written_at=NOW_MS + n) for n in range(1, 10)])
    assert audit.erase({KEY: 1}) == 9
    assert audit.count() == 0


def test_a_point_that_nobody_has_written(audit: InfluxAudit, server: InfluxServer) -> None:
    """It halts who reads it, and the error quotes nothing of it."""
    audit.append([transition(1)])
    (rows,) = server.query(["SELECT slot, kept FROM transitions"])
    server.write([f'transitions,slot={rows[0]["slot"]} body="[1, secret" {rows[0]["time"]}'])
    with pytest.raises(InvariantViolated) as raised:
        audit.history("anna")
    assert "secret" not in str(raised.value)


def test_so_many_deliveries_in_one_call(audit: InfluxAudit) -> None:
    """The bound holds within a call as it does between calls, for each update by itself."""
    many = [delivery(n, sequence=s) for s in (1, 2) for n in range(DELIVERIES_PER_UPDATE_MAX + 5)]
    audit.note(many)
    assert len(audit.deliveries("anna")) == 2 * DELIVERIES_PER_UPDATE_MAX


def test_a_delivery_that_is_judged_again_is_there_once(audit: InfluxAudit) -> None:
    """After a crash of apply it comes again with a later time, by which it would be another point."""
    first = [delivery(1), delivery(2)]
    audit.note(first)
    audit.note([structs.replace(one, judged_at=NOW_MS + 5) for one in [*first, delivery(3)]])
    assert [(one.position, one.judged_at) for one in audit.deliveries("anna")] == [
        (3, NOW_MS + 5),
        (2, NOW_MS),
        (1, NOW_MS),
    ]


def test_what_lies_apart_is_read_apart() -> None:
    """Else all that others of the slot have recorded in between would be read too."""
    gap = influx_audit.RUN_GAP_NS
    times = [0, gap, 2 * gap + 1, 2 * gap + 2, 9 * gap]
    assert list(influx_audit._runs(times)) == [(0, gap), (2 * gap + 1, 2 * gap + 2), (9 * gap, 9 * gap)]
    assert list(influx_audit._runs([])) == []
