"""Apply: every update once, all or nothing, whatever fails or comes again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.check import ROWS_MAX
from playerstate.core.fitting import ROW_BYTES_MAX
from playerstate.core.images import Images
from playerstate.core.model import Identity, Key, Op
from playerstate.core.replica import BECAUSE_MAX, Replica, Write
from playerstate.core.schema import parse_schema
from playerstate.core.types.flag import Flag
from playerstate.core.wire import NewerVersion, decode_any_updates, encode_record, encode_update
from playerstate.errors import OutcomeUnknown, Unavailable
from playerstate.stages import apply as apply_module
from playerstate.stages.apply import Apply
from stages.world import NOW_MS, REGION, World, add, records, starter, update


def applied(world: World, player: str = "ada", key: str = "gold") -> object:
    """The stored value, by this region's row."""
    images = Images(world.schema)
    rows = world.store.load([Key(player, key)])[Key(player, key)]
    return images.view(Key(player, key), [images.read(key, body) for body in rows.values()]).decoded()


def test_a_record_that_comes_again_changes_nothing() -> None:
    """Promise 2: once, however often it is delivered."""
    world = World()
    world.put_updates(add(5), add(5), add(7, sequence=2))
    first = world.apply.handle(records(world))
    before = world.store.load([Key("ada", "gold")])
    second = world.apply.handle(records(world))
    assert applied(world) == 12
    assert first.outcomes == {"applied": 2, "duplicate": 1}
    assert second.outcomes == {"duplicate": 3}
    assert world.store.load([Key("ada", "gold")]) == before


def test_bad_updates_are_put_aside_and_the_others_applied() -> None:
    """Promise 10: each bad one is a dead letter with its reason, also beside good ones in the same record."""
    world = World()
    bad_key = update({"state_key": "nonsense", "op": "add", "n": 1}, sequence=9)
    mixed = encode_record(
        NOW_MS, [encode_update(add(1)), b"\x01", encode_update(bad_key), encode_update(add(2, sequence=2))]
    )
    world.put_on_stream(b"\xff\xff", mixed, b"", encode_record(NOW_MS, [encode_update(add(0, sequence=0))]))
    outcome = world.apply.handle(records(world))
    assert applied(world) == 3
    assert outcome.outcomes == {"applied": 2, "dead": 5}
    letters = world.dead_letters.list()
    assert [letter.code for letter in letters] == [
        "wrong_shape",
        "wrong_shape",
        "unknown_key",
        "malformed",
        "bad_sequence",
    ]
    assert world.dead_letters.find(Identity("game-1", 9, "ada", "nonsense")) == letters[2]
    world.apply.handle(records(world))
    assert world.dead_letters.count() == 5
    assert decode_any_updates(letters[2].body) == [bad_key], "sending it again must not repeat the good ones beside it"


class Interfering(World):
    """A world in which somebody else writes first, now and then."""

    def interfere(self, updates_of_other: Sequence[object], *, times: int) -> Apply:
        """An apply whose store lets another apply in just before each of its first commits."""
        store, other = self.store, Apply(self.schema, REGION, self.store, self.dead_letters, self.clock)
        left = [times]
        others = list(updates_of_other)

        class Racing:
            load = staticmethod(store.load)

            def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
                if left[0]:
                    left[0] -= 1
                    other.handle([others.pop(0)])  # type: ignore[list-item]
                return store.commit(groups)

        return Apply(self.schema, REGION, Racing(), self.dead_letters, self.clock)  # type: ignore[arg-type]


def test_a_row_that_changed_meanwhile_is_read_again() -> None:
    """Promise 2 against a zombie: what another writer committed in between stays, and ours is added to it."""
    world = Interfering()
    world.put_updates(*(add(1, producer="zombie", sequence=n) for n in (1, 2)))
    zombie = records(world)
    world.put_updates(
        add(10), update({"op": "add", "n": 100}, {"state_key": "experience", "op": "add", "n": 1}, sequence=2)
    )
    result = world.interfere(zombie, times=2).handle(records(world)[2:])
    assert applied(world) == 112
    assert applied(world, key="experience") == 1
    assert result.outcomes == {"applied": 2}


def test_gives_up_for_now_when_rows_never_hold_still() -> None:
    """Nothing is dropped: the batch comes again."""
    world = World()
    world.put_updates(add(1))

    class Refusing:
        load = staticmethod(world.store.load)

        def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
            return [False] * len(groups)

    apply = Apply(world.schema, REGION, Refusing(), world.dead_letters, world.clock)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        apply.handle(records(world))


def test_an_update_of_several_players_is_all_or_nothing() -> None:
    """Promise 5: a trade that one side cannot pay moves nothing; one that it can moves both."""
    world = World()
    trade = (
        {"player_id": "eve", "state_key": "inventory", "op": "subtract", "item": "sword", "n": 1},
        {"player_id": "ada", "state_key": "inventory", "op": "add", "item": "sword", "n": 1},
        {"op": "subtract", "n": 50},
        {"player_id": "eve", "op": "add", "n": 50},
    )
    world.put_updates(
        update({"player_id": "eve", "state_key": "inventory", "op": "add", "item": "sword", "n": 1}),
        update(*trade, producer="trade", sequence=1),
        add(60),
        update(*trade, producer="trade", sequence=2),
    )
    result = world.apply.handle(records(world))
    assert result.outcomes == {"applied": 3, "refused:insufficient": 1}
    assert (applied(world), applied(world, "eve")) == (10, 50)
    assert applied(world, "ada", "inventory") == {"sword": 1}
    assert applied(world, "eve", "inventory") == {}


def test_what_a_row_keeps_of_its_causes_is_bounded() -> None:
    """A hot key is written in several steps; together they explain every update once."""
    world = World()
    many = 3 * BECAUSE_MAX + 7
    world.put_updates(*(add(1, sequence=n) for n in range(1, many + 1)))
    result = world.apply.handle(records(world))
    assert result.rows_written == 4
    images = Images(world.schema)
    written = [images.read("gold", change.new).row.because for change in world.store.changes.read(0, 100)]
    assert max(map(len, written)) == BECAUSE_MAX
    assert [cause.n for because in written for cause in because] == list(range(1, many + 1))


def test_chains_of_trades_stay_within_one_transactions_rows() -> None:
    """However updates tie rows together, no transaction spans more rows than a store takes."""
    world = World()
    spans: list[int] = []

    class Counting:
        load = staticmethod(world.store.load)

        def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
            spans.extend(map(len, groups))
            return world.store.commit(groups)

    players = [f"p{n}" for n in range(3 * ROWS_MAX)]
    world.put_updates(
        *(
            update({"player_id": a, "op": "add", "n": 1}, {"player_id": b, "op": "add", "n": 1})
            for a, b in pairwise(players)
        )
    )
    Apply(world.schema, REGION, Counting(), world.dead_letters, world.clock).handle(records(world))  # type: ignore[arg-type]
    assert max(spans) <= ROWS_MAX
    assert [applied(world, player) for player in players] == [1] + [2] * (len(players) - 2) + [1]


def test_a_row_that_would_grow_too_large_refuses() -> None:
    """The limit is the same everywhere, and the row before it stays as it was."""
    world = World()
    value = "x" * 16_000
    sets = [
        update({"state_key": "settings", "op": "set", "field": f"f{n}", "value": value}, sequence=n)
        for n in range(1, 41)
    ]
    world.put_updates(*sets)
    result = world.apply.handle(records(world))
    fitting = ROW_BYTES_MAX // 16_100
    assert result.outcomes["applied"] == pytest.approx(fitting, abs=1)
    assert result.outcomes["refused:row_too_large"] == 40 - result.outcomes["applied"]
    stored = world.store.load([Key("ada", "settings")])[Key("ada", "settings")][REGION]
    assert len(stored) <= ROW_BYTES_MAX
    assert world.apply.handle(records(world)).outcomes == {"duplicate": 40}


def test_a_row_of_a_newer_schema_waits() -> None:
    """Never dead-lettered: a process that knows it will take it."""
    world, newer = World(), starter()
    text_version = type(newer)(type(newer.game)(newer.game.name, 2), newer.keys)
    World.put_updates(world, add(1), add(2, sequence=2))
    first, second = records(world)
    Apply(text_version, REGION, world.store, world.dead_letters, world.clock).handle([first])
    with pytest.raises(NewerVersion):
        world.apply.handle([second])
    assert world.dead_letters.count() == 0


class Stumbling:
    """A store that fails as told: before it has written anything, or after it has written everything."""

    def __init__(self, world: World, faults: list[str]) -> None:
        self._store = world.store
        self._faults = faults
        self.load = world.store.load

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "before":
            raise Unavailable("nothing was written")
        result = self._store.commit(groups)
        if fault == "after":
            raise OutcomeUnknown("it may have been written")
        return result


@given(
    amounts=st.lists(st.integers(1, 9), min_size=1, max_size=20),
    deliveries=st.lists(st.integers(0, 19), max_size=30),
    faults=st.lists(st.sampled_from(["", "before", "after"]), max_size=12),
    cuts=st.lists(st.integers(1, 5), max_size=40),
    kept_max=st.sampled_from([0, 2, 100]),
)
def test_once_under_repeats_and_failures(
    amounts: list[int], deliveries: list[int], faults: list[str], cuts: list[int], kept_max: int
) -> None:
    """Promises 1 and 2: with repeats anywhere, and commits that fail or seem to, each update counts exactly once."""
    world = World()
    updates = [add(n, sequence=index) for index, n in enumerate(amounts, start=1)]
    world.put_updates(*updates, *(updates[index % len(updates)] for index in deliveries))
    store: Any = Stumbling(world, faults)
    apply = Apply(world.schema, REGION, store, world.dead_letters, world.clock, kept_max=kept_max)
    waiting = list(records(world))
    while waiting:
        batch = waiting[: cuts.pop(0) if cuts else 5]
        try:
            apply.handle(batch)
        except (Unavailable, OutcomeUnknown):
            continue
        waiting = waiting[len(batch) :]
    assert applied(world) == sum(amounts)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_stop_apply(bodies: list[bytes]) -> None:
    """Promise 10: whatever lies on the stream, the update behind it is applied."""
    world = World()
    world.put_on_stream(*bodies)
    world.put_updates(add(3))
    world.apply.handle(records(world))
    assert applied(world) == 3
    assert world.dead_letters.count() >= len(bodies) - sum(body == b"" for body in bodies)


def test_kept_rows_that_went_stale_are_found_by_the_condition() -> None:
    """A copy from an earlier batch is no better than a row read then: whoever wrote since is not overwritten."""
    world = World()
    keeping = Apply(world.schema, REGION, world.store, world.dead_letters, world.clock, kept_max=10)
    other = Apply(world.schema, REGION, world.store, world.dead_letters, world.clock)
    world.put_updates(*(add(10**n, sequence=n + 1) for n in range(4)))
    for index, apply in enumerate([keeping, other, keeping, keeping]):
        apply.handle([records(world)[index]])
    assert applied(world) == 1111


def test_what_is_kept_of_rows_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows and rows that grow count too, although they were small or absent when they were read."""
    monkeypatch.setattr(apply_module, "KEPT_BYTES_MAX", 1_000_000)
    world = World()
    keeping = Apply(world.schema, REGION, world.store, world.dead_letters, world.clock, kept_max=20_000)
    for batch in range(10):
        world.put_updates(
            *(
                update({"player_id": f"p{batch}-{n}", "state_key": "loadout", "op": "set", "value": "x" * 15_000})
                for n in range(20)
            )
        )
        keeping.handle(records(world)[-20:])
    assert 0 < sum(replica.bytes for replica in keeping._kept.values()) <= 1_000_000 + 20 * 16_000


@pytest.mark.parametrize("faulty", [False, True], ids=["impossible", "faulty"])
def test_what_is_put_aside_is_put_there_first(monkeypatch: pytest.MonkeyPatch, faulty: bool) -> None:
    """Promise 1: a crash right after the commit leaves the letter, for when it comes again it looks like a repeat."""
    world = World()
    real = Flag.apply

    def fail_to_enable(flag: Flag, state: Any, op: Op, *rest: Any) -> Any:
        return 1 / 0 if op.op == "enable" else real(flag, state, op, *rest)

    monkeypatch.setattr(Flag, "apply", fail_to_enable)
    aside = {"state_key": "tutorial_done", "op": "enable" if faulty else "explode"}
    behind = {"state_key": "tutorial_done", "op": "disable"}
    world.put_updates(update(aside, producer="@own.1"), update(behind, producer="@own.1", sequence=2))
    store: Any = Stumbling(world, ["after"])
    with pytest.raises(OutcomeUnknown):
        Apply(world.schema, REGION, store, world.dead_letters, world.clock).handle(records(world))
    world.apply.handle(records(world))
    assert [letter.identity and letter.identity.sequence for letter in world.dead_letters.list()] == [1]


def test_a_fault_of_a_part_is_no_fault_of_the_updates() -> None:
    """What a store raises, whatever it is, puts nothing aside: the batch comes again."""
    world = World()
    world.put_updates(add(1))

    class Faulty:
        commit = staticmethod(world.store.commit)

        def load(self, keys: Sequence[Key]) -> dict[Key, dict[str, bytes]]:
            raise KeyError(keys)

    store: Any = Faulty()
    with pytest.raises(KeyError):
        Apply(world.schema, REGION, store, world.dead_letters, world.clock).handle(records(world))
    assert world.dead_letters.count() == 0


def test_a_fault_of_the_program_stops_one_update_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 10, for what nobody foresaw: the update is put aside with its bytes, and those behind it are applied."""
    world = World()

    def fail(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Flag, "apply", fail)
    flag = update({"state_key": "tutorial_done", "op": "enable"})
    world.put_updates(add(1), flag, add(2, sequence=2))
    assert world.apply.handle(records(world)).outcomes == {"applied": 2, "dead": 1}
    (letter,) = world.dead_letters.list()
    assert (letter.code, decode_any_updates(letter.body)) == ("internal", [flag])
    assert applied(world) == 3


def test_short_names_do_not_slip_past_the_row_limit() -> None:
    """A set of many short elements takes several times the bytes of the updates that fill it."""
    world = World(
        schema=parse_schema('[game]\nname = "t"\nversion = 1\n[keys.tags]\ntype = "set"\nmax_entries = 100000')
    )
    adds = [
        update(
            {"state_key": "tags", "op": "add", "elements": [f"{n:x}" for n in range(part, part + 12_000)]}, sequence=s
        )
        for s, part in enumerate(range(0, 60_000, 12_000), start=1)
    ]
    world.put_updates(*adds)
    outcomes = world.apply.handle(records(world)).outcomes
    stored = world.store.load([Key("ada", "tags")])[Key("ada", "tags")][REGION]
    assert len(stored) <= ROW_BYTES_MAX
    assert outcomes["applied"] + outcomes["refused:row_too_large"] == len(adds)
    assert outcomes["refused:row_too_large"]


@given(cuts=st.lists(st.integers(1, 20), max_size=20))
def test_outcomes_do_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    """What a write remembers of the updates before must not refuse the next: a batch ends as single updates do."""
    world = World()
    names = [f"friend-{n:0120d}" for n in range(400)]
    world.put_updates(
        *(
            update({"state_key": "friends", "op": "add" if n % 2 else "remove", "elements": names}, sequence=n)
            for n in range(1, 21)
        )
    )
    waiting = list(records(world))
    while waiting:
        batch = waiting[: cuts.pop(0) if cuts else 20]
        assert set(world.apply.handle(batch).outcomes) == {"applied"}
        waiting = waiting[len(batch) :]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x91\x02", "newer_version"),
        (encode_record(2**53, [encode_update(add(1))]), "too_new"),
    ],
)
def test_records_that_no_clock_or_program_here_can_have_written(body: bytes, code: str) -> None:
    """Promise 10: they are put aside, and neither hold up nor spoil what is behind them."""
    world = World()
    world.put_on_stream(body)
    world.put_updates(add(3, sequence=2))
    assert world.apply.handle(records(world)).outcomes == {"dead": 1, "applied": 1}
    assert [letter.code for letter in world.dead_letters.list()] == [code]


def test_a_repeat_under_a_stricter_schema_is_still_a_repeat() -> None:
    """Promise 2: what took effect before the schema changed is no dead letter, which somebody would send again."""
    world = World()
    strict = parse_schema(
        '[game]\nname = "t"\nversion = 2\n[keys.gold]\ntype = "bounded_counter"\n'
        '[keys.loadout]\ntype = "register"\nmax_length = 3'
    )
    world.put_updates(update({"op": "add", "n": 5}, {"state_key": "loadout", "op": "set", "value": "longer"}))
    world.apply.handle(records(world))
    after = Apply(strict, REGION, world.store, world.dead_letters, world.clock)
    assert after.handle(records(world)).outcomes == {}
    assert world.dead_letters.count() == 0


def test_a_row_that_cannot_be_written_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 10: the update that spoils its row is found, and those before, beside and behind it are applied."""
    world = World()
    real = Replica.write

    def write(replica: Replica, written_at: int) -> Write | None:
        if any(cause.sequence == 3 for cause in replica.because if replica.key.player_id == "ada"):
            raise OverflowError
        return real(replica, written_at)

    monkeypatch.setattr(Replica, "write", write)
    world.put_updates(
        *(
            update({"player_id": player, "op": "add", "n": 1}, sequence=n)
            for n in range(1, 7)
            for player in ("ada", "bert")
        )
    )
    assert world.apply.handle(records(world)).outcomes == {"applied": 11, "dead": 1}
    (letter,) = world.dead_letters.list()
    assert (letter.code, letter.identity and letter.identity.sequence) == ("internal", 3)
    assert (applied(world), applied(world, "bert")) == (5, 6)
