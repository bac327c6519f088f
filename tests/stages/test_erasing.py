"""Erasing a player, the whole way: cache, graph, history and dead letters follow, and late messages change nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from builders import letter
from playerstate.core.answers import Rejected
from playerstate.core.findings import CACHE, Finding, Kind, finding_id
from playerstate.core.fitting import ROW_BYTES_MAX
from playerstate.core.images import Images
from playerstate.core.model import Cause, Effect, Identity, Key, Notice
from playerstate.core.producers import ERASER_PREFIX
from playerstate.core.wire import decode_notices, decode_record, encode_notices
from playerstate.errors import InvalidUpdate, InvariantViolated, SlowDown, Unavailable
from playerstate.ports.stream import NewRecord
from playerstate.stages import export
from playerstate.stages.accept import LAG_MAX, Accept, Lanes
from stages.world import NOW_MS, REGION, World, add, records, update

REASON = "asked for by the player, ticket 4711"
FRIENDS, GOLD = Key("ada", "friends"), Key("ada", "gold")


def befriend(player_id: str, *others: str, sequence: int = 1) -> Any:
    return update({"player_id": player_id, "state_key": "friends", "op": "add", "elements": others}, sequence=sequence)


def lived_in() -> World:
    """A world in which ada has gold, friends and a guild, and eve points at ada."""
    world = World()
    guild = update({"state_key": "guild", "op": "set", "value": "red"})
    world.put_updates(add(5), befriend("ada", "bob", "eve"), guild, befriend("eve", "ada"))
    world.step_all()
    assert world.graph.targets(["ada"], "FRIEND") == {"ada": {"bob", "eve"}}
    return world


def test_everything_follows() -> None:
    """Readers see what was never written, no edge leads from the player, and the history begins with the erasure."""
    world = lived_in()
    world.clock.advance(1)
    answers = world.calls().erase("ada", reason=REASON)
    assert [answer.state_key for answer in answers] == list(world.schema.keys)
    world.step_all()
    images = Images(world.schema)
    for key in world.schema.keys:
        view = world.cache.get(Key("ada", key))
        assert view is not None
        assert view.value == images.view(Key("ada", key), []).value
        assert view.version == f"{REGION}:{2 if key in ('gold', 'friends', 'guild') else 1}"
    assert world.graph.edges(FRIENDS) == (2, [])
    assert world.graph.targets(["ada"], "MEMBER_OF") == {"ada": set()}
    assert world.graph.sources(["ada"], "FRIEND") == {"ada": {"eve"}}
    history = world.audit.history("ada")
    assert {t.state_key for t in history} == set(world.schema.keys)
    assert all([cause.effects for cause in t.causes] == [[Effect("erase", field=REASON)]] for t in history)
    (gold,) = world.audit.history("ada", "gold")
    assert (bytes(gold.before), gold.before_version, bytes(gold.after)) == (b"null", f"{REGION}:1", b"0")
    assert gold.epoch == 1
    assert [t.epoch for t in world.audit.history("eve")] == [0]


def test_what_is_sent_before_is_erased_and_what_is_sent_after_stays() -> None:
    """The erasure takes its place on the stream, in one batch with what lies around it."""
    world = World()
    node = world.calls()
    node.send(add(5))
    node.erase("ada", reason=REASON)
    world.clock.advance(1)
    node.send(add(2, sequence=2, sent_at=NOW_MS + 1))
    node.send(add(5))  # a late repeat
    world.step_all()
    assert world.value("ada", "gold") == 2
    assert [len(t.causes) for t in world.audit.history("ada", "gold")] == [2]


@pytest.mark.parametrize("seed", range(8))
def test_messages_from_before_change_nothing_whenever_they_come(seed: int) -> None:
    """Queues deliver in any order and again: what was told before the erasure leaves no trace in history or graph."""
    world = World(seed=seed)
    told: list[Notice] = []
    send = world.queues["audit"].send

    def note(bodies: Any) -> None:
        told.extend(notice for body in bodies for notice in decode_notices(body))
        send(bodies)

    world.queues["audit"].send = note  # type: ignore[method-assign]
    world.put_updates(*[befriend("ada", f"friend-{n}", sequence=n) for n in range(1, 6)])
    world.apply.handle(records(world)[:2])
    world.step_all()
    world.calls().erase("ada", reason=REASON)
    world.step_all()
    history, edges = world.audit.history("ada"), world.graph.edges(FRIENDS)
    assert {cause.effects[0].op for t in history for cause in t.causes} == {"erase"}
    again = Random(seed).choices(told, k=30)
    for queue in world.queues.values():
        queue.send([encode_notices([notice]) for notice in again])
    world.step_all()
    assert (world.audit.history("ada"), world.graph.edges(FRIENDS)) == (history, edges)


def test_another_region_s_erasure_reaches_the_history() -> None:
    """Its row comes without causes, and says by its epoch that what is recorded here has to go."""
    world = lived_in()
    notice = Notice("ada", "gold", "far", "far:3", 3, NOW_MS, msgspec.Raw(b"0"), epoch=1)
    assert world.record.handle([notice]) == 0
    assert world.audit.history("ada", "gold") == []
    assert len(world.audit.history("ada")) == 2
    late = Notice("ada", "gold", REGION, f"{REGION}:2", 2, NOW_MS, msgspec.Raw(b"9"), because=[cause(2)])
    world.record.handle([late])
    assert world.audit.history("ada", "gold") == []


def found(at: int, player_id: str = "ada", state_key: str = "gold") -> Finding:
    key = Key(player_id, state_key)
    return Finding(finding_id(at, CACHE, key), REGION, CACHE, Kind.STALE, *key, "r:2", "r:1", at, at)


def test_what_was_found_about_the_player_goes() -> None:
    """Also about keys that nobody knows; what was found about others, or since the erasure, stays, whatever comes."""
    world = lived_in()
    world.findings.put([found(NOW_MS), found(NOW_MS - 5, state_key="a key of nobody's"), found(NOW_MS, "eve")])
    world.clock.advance(1)
    world.calls().erase("ada", reason=REASON)
    world.step_all()
    assert world.findings.list() == [found(NOW_MS, "eve")]
    since = [found(NOW_MS + 3), found(NOW_MS, "eve")]
    world.findings.put(since)
    world.clock.advance(5_000)
    world.put_updates(add(5, sequence=9, sent_at=world.clock.now_ms()))
    world.step_all()
    assert world.findings.list() == since


def test_another_region_s_erasure_reaches_the_findings() -> None:
    """By the view that its row hides; one that only could not be read any more says nothing of an erasure."""
    world = lived_in()
    world.findings.put([found(NOW_MS)])
    hidden, at = msgspec.Raw(b"null"), NOW_MS + 1
    world.record.handle([Notice("ada", "gold", "far", "far:3", 3, at, msgspec.Raw(b"0"), hidden, "", epoch=1)])
    assert world.findings.count() == 1
    world.record.handle([Notice("ada", "gold", "far", "far:3", 3, at, msgspec.Raw(b"0"), hidden, "far:2", epoch=1)])
    assert world.findings.count() == 0


def test_a_damaged_record_of_findings_holds_up_no_erasure() -> None:
    """The history goes, and an export has all the rest."""
    world = lived_in()

    def damaged(*_: Any, **__: Any) -> Any:
        raise InvariantViolated("damaged")

    world.findings.erase = world.findings.list = damaged  # type: ignore[method-assign]
    world.clock.advance(1)
    world.calls().erase("ada", reason=REASON)
    world.step_all()
    assert {len(t.causes) for t in world.audit.history("ada")} == {1}
    assert world.calls().export("ada").findings == []


def cause(n: int) -> Cause:
    return Cause(n, "game-1", n, NOW_MS, NOW_MS, [Effect("add", delta=1)])


def test_a_notice_says_its_epoch_only_where_there_is_one() -> None:
    """Other readers of the queues need not know of erasures until they meet one."""
    plain = Notice("ada", "gold", REGION, "r:1", 1, NOW_MS, msgspec.Raw(b"0"))
    assert b"epoch" not in encode_notices([plain])
    assert b'"epoch":2' in encode_notices([msgspec.structs.replace(plain, epoch=2)])


def test_the_player_s_dead_letters_go() -> None:
    """By the identity of their update, however many there are; those of others stay."""
    world = World()
    mine = [letter(f"{n:04}", identity=Identity("p", n, "ada", "gold")) for n in range(120)]
    others = [letter("x1", identity=Identity("p", 1, "adam", "gold")), letter("x2")]
    world.dead_letters.put(mine + others)
    world.calls().erase("ada", reason=REASON)
    assert world.dead_letters.list() == others


def test_clients_cannot_erase() -> None:
    """An update that says `erase` is refused in its place, with a code of its own; so is a producer that erases."""
    world = World()
    erase = {"ops": [{"player_id": "ada", "state_key": "gold", "op": "erase", "value": "x"}]}
    answers = world.accept.handle([erase, {**erase, "producer": "p", "sequence": 1}])
    answers += world.accept.handle([{**erase, "producer": f"{ERASER_PREFIX}x", "sequence": 1}])
    assert [answer.code for answer in answers if isinstance(answer, Rejected)] == [
        "not_an_update",
        "not_an_update",
        "bad_name",
    ]
    assert records(world) == []


@pytest.mark.parametrize(
    ("player_id", "reason", "code"),
    [("ada", "", "no_reason"), ("ada", " ", "no_reason"), ("ada", "x" * 201, "bad_reason"), ("{", "x", "bad_name")],
)
def test_erasing_needs_a_player_and_a_reason(player_id: str, reason: str, code: str) -> None:
    """Nothing is taken without them."""
    world = World()
    with pytest.raises(InvalidUpdate) as caught:
        world.accept.erase(player_id, reason)
    assert caught.value.code == code
    assert records(world) == []


def test_one_record_and_numbers_that_rise() -> None:
    """Every erasure has an identity of its own; what could not be appended has used up none."""
    world = World()
    append, keys = world.stream.append, len(world.schema.keys)

    def fail(_: Any) -> int:
        raise Unavailable("away")

    world.stream.append = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.accept.erase("ada", REASON)
    world.stream.append = append  # type: ignore[method-assign]
    answers = [*world.accept.erase("ada", REASON), *world.accept.erase("ada", REASON)]
    assert [answer.sequence for answer in answers] == list(range(1, 2 * keys + 1))
    assert {answer.producer for answer in answers} == {f"{ERASER_PREFIX}test"}
    assert [len(decode_record(record.body)[1]) for record in records(world)] == [keys, keys]


def test_erasing_waits_like_everything_else() -> None:
    """Behind too much that waits it is told to slow down."""
    world = World()
    head = world.stream.append([NewRecord("x", b"")] * (LAG_MAX + 1))
    accept = Accept(world.schema, world.stream, world.clock, Lanes("late", 1), applied=lambda: 0, head=head)
    with pytest.raises(SlowDown):
        accept.erase("ada", REASON)


def test_a_full_row_can_be_erased() -> None:
    """What makes it smaller is always taken."""
    world = World()
    settings = [
        update({"state_key": "settings", "op": "set", "field": f"f{n}", "value": "x" * 16_000}, sequence=n)
        for n in range(1, 26)
    ]
    world.put_updates(*settings)
    world.step_all()
    key = Key("ada", "settings")
    assert len(world.store.load([key])[key][REGION]) > ROW_BYTES_MAX - 16_000
    world.calls().erase("ada", reason=REASON)
    world.step_all()
    assert len(world.store.load([key])[key][REGION]) < 500
    assert world.value("ada", "settings") == {}


def test_an_erasure_on_the_stream_that_is_none_is_put_aside() -> None:
    """Promise 10: it does nothing, and what is behind it goes on."""
    world = World()
    world.put_updates(add(5), update({"op": "erase", "value": "x"}, sequence=2), add(1, sequence=3))
    world.step_all()
    assert world.value("ada", "gold") == 6
    assert [found.code for found in world.dead_letters.list()] == ["not_an_update"]


def test_an_export_holds_everything() -> None:
    """Views, rows, history, dead letters, edges in both directions; of another player nothing."""
    world = lived_in()
    mine = letter("1", identity=Identity("p", 1, "ada", "gold"))
    world.dead_letters.put([mine, letter("2", identity=Identity("p", 1, "eve", "gold"))])
    world.put_updates(update({"op": "add", "n": 2**70}, sequence=2))
    world.step_all()
    world.findings.put([found(NOW_MS), found(NOW_MS, "eve")])
    exported = world.calls().export("ada")
    assert (exported.player_id, exported.region) == ("ada", REGION)
    assert set(exported.keys) == {"gold", "friends", "guild"}
    gold = exported.keys["gold"]
    assert (gold.view.version, gold.view.decoded()) == (f"{REGION}:2", str(2**70 + 5))
    assert gold.rows[REGION].state == {REGION: str(2**70 + 5)}
    assert (gold.rows[REGION].version, gold.rows[REGION].epoch) == (f"{REGION}:2", 0)
    assert exported.history == world.audit.history("ada")
    assert len(exported.history) == 4
    assert exported.dead_letters == [mine]
    assert (exported.findings, exported.findings_before) == ([found(NOW_MS)], None)
    assert exported.edges_out == {"FRIEND": ["bob", "eve"], "MEMBER_OF": ["red"]}
    assert exported.edges_in == {"FRIEND": ["eve"], "MEMBER_OF": []}
    assert (exported.history_before, exported.dead_letters_after) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(exported), type=type(exported)) == exported


def test_an_export_is_bounded_and_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """History and dead letters that do not fit into one answer are reached by their own calls."""
    for name, value in (("TRANSITIONS_MAX", 4), ("PAGE", 2), ("LETTERS_MAX", 3), ("FINDINGS_MAX", 2)):
        monkeypatch.setattr(export, name, value)
    world = World()
    world.dead_letters.put([letter(f"{n}", identity=Identity("p", n, "ada", "gold")) for n in range(5)])
    world.findings.put([found(NOW_MS + n) for n in range(3)])
    for n in range(1, 8):
        world.clock.advance(1)
        world.put_updates(add(1, sequence=n))
        world.step_all()
    node = world.calls()
    exported = node.export("ada")
    rest = node.history("ada", before=exported.history_before).transitions
    assert (len(exported.history), exported.history + rest) == (4, world.audit.history("ada"))
    assert exported.dead_letters_after is not None
    letters = exported.dead_letters + node.dead_letters(after=exported.dead_letters_after)
    assert (len(exported.dead_letters), letters) == (3, world.dead_letters.list())
    assert exported.findings + node.findings("ada", before=exported.findings_before) == world.findings.list()
    assert len(exported.findings) == 2


def test_nothing_is_held_about_a_player_whom_nobody_knows() -> None:
    """An export of nothing; a name that no player can have is refused."""
    node = World().calls()
    exported = node.export("nobody")
    assert (exported.keys, exported.history, exported.dead_letters) == ({}, [], [])
    with pytest.raises(InvalidUpdate):
        node.export("")
