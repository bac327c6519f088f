"""Rows at their limit: they refuse to grow, remember that they did, and still take what makes them smaller."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from playerstate.core import fitting
from playerstate.core.fitting import FULL_ROW_BYTES_MAX, GROUP_BYTES_MAX, ROW_BYTES_MAX
from playerstate.core.images import Images
from playerstate.core.model import Key, Update
from playerstate.core.row import Row
from playerstate.core.schema import parse_schema
from playerstate.core.wire import encode_row
from playerstate.stages.apply import Apply
from stages.world import NOW_MS, REGION, World, records, update

DYNAMODB_ITEM_BYTES_MAX = 400 * 1024
SETTINGS = Key("ada", "settings")


def setting(field: str, size: int, sequence: int, **rest: Any) -> Update:
    return update(
        {"state_key": "settings", "op": "set", "field": field, "value": "x" * size}, sequence=sequence, **rest
    )


def removal(field: str, sequence: int, **rest: Any) -> Update:
    return update({"state_key": "settings", "op": "remove", "field": field}, sequence=sequence, **rest)


def send(world: World, *updates: Update) -> dict[str, int]:
    """Have apply process the updates, and only these; what became of them."""
    before = len(records(world))
    world.put_updates(*updates)
    return dict(world.apply.handle(records(world)[before:]).outcomes)


def row(world: World, key: Key = SETTINGS) -> Row[Any]:
    return Images(world.schema).read(key.state_key, stored(world, key)).row


def stored(world: World, key: Key = SETTINGS) -> bytes:
    return world.store.load([key])[key][REGION]


def size_without_causes(world: World) -> int:
    return len(encode_row(msgspec.structs.replace(row(world), because=[])))


def full_world(*, room: int = 200) -> World:
    """A world in which ada's settings have few bytes left, once what the latest write says of updates is gone."""
    world = World()
    assert send(world, *(setting(f"f{n}", 16_000, n) for n in range(1, 25))) == {"applied": 24}
    filler = ROW_BYTES_MAX - size_without_causes(world) - room
    assert send(world, setting("filler", filler, 25)) == {"applied": 1}
    return world


def test_a_full_row_takes_what_makes_it_smaller() -> None:
    """After a refusal too, in the same call and of a producer that is new to the row."""
    world = full_world()
    stranger = "stranger" * 10
    outcomes = send(world, setting("more", 2_000, 1, producer=stranger), removal("f1", 2, producer=stranger))
    assert outcomes == {"refused:row_too_large": 1, "applied": 1}
    assert "f1" not in row(world).state[REGION]


def test_a_sender_ahead_of_its_time_locks_nobody_out() -> None:
    """Another clock's refusal says nothing of the updates of new producers."""
    world = full_world()
    ahead = NOW_MS + 59 * 60 * 1000
    assert send(world, setting("more", 2_000, 1, producer="ahead", sent_at=ahead)) == {"refused:row_too_large": 1}
    assert send(world, removal("f1", 1, producer="fresh")) == {"applied": 1}


def test_refusals_keep_their_outcome_in_a_full_row() -> None:
    """Promise 2: a full row has room to remember what it refuses, as every row has."""
    world = full_world()
    refused = [setting(f"more{n}", 2_000, 1, producer=f"server-{n}") for n in range(20)]
    assert send(world, *refused) == {"refused:row_too_large": 20}
    assert send(world, *refused) == {"duplicate": 20}


def test_refusals_do_not_grow_a_full_row_without_limit() -> None:
    """Promise 10: whatever comes, a store with DynamoDB's limit takes the row, and the way out stays open."""
    world = full_world()
    outcomes: dict[str, int] = {}
    for batch in range(6):
        now = NOW_MS + batch
        sent = [
            removal("f1", n, producer=f"server-{producer:0110d}", if_version="nowhere:1", sent_at=now)
            for producer in range(batch * 30, batch * 30 + 30)
            for n in range(1, 20)
        ]
        for outcome, count in send(world, *sent).items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    assert set(outcomes) == {"conflict", "refused:too_many_producers", "expired"}
    assert len(stored(world)) < DYNAMODB_ITEM_BYTES_MAX - 1024
    assert send(world, removal("f1", 26)) == {"applied": 1}


def test_a_row_of_regular_producers_forgets_none_of_them() -> None:
    """Promise 2: what was applied stays a repeat, although the row is full and refuses."""
    world = full_world(room=9_000)
    visits = [removal("nothing", 1, producer=f"server-{n}") for n in range(200)]
    assert send(world, *visits) == {"applied": 200}
    room = ROW_BYTES_MAX - size_without_causes(world)
    assert send(world, setting("rest", room - 200, 26)) == {"applied": 1}
    refused = [setting("more", 2_000, 2, producer=f"server-{n}") for n in range(40)]
    assert send(world, *refused) == {"refused:row_too_large": 40}
    assert send(world, *visits) == {"duplicate": 200}


def test_a_row_beyond_its_limit_may_only_shrink() -> None:
    """Refusals have taken it there; a byte less is taken, although it is still beyond, and a byte more is not."""
    world = full_world(room=400)
    assert send(world, setting("note", 40, 26)) == {"applied": 1}
    refused = [setting("more", 2_000, 1, producer=f"server-{n}") for n in range(40)]
    assert send(world, *refused) == {"refused:row_too_large": 40}
    assert size_without_causes(world) > ROW_BYTES_MAX
    assert send(world, setting("note", 41, 27)) == {"refused:row_too_large": 1}
    assert send(world, setting("note", 10, 28)) == {"applied": 1}
    assert size_without_causes(world) > ROW_BYTES_MAX


def test_known_producers_are_never_turned_away() -> None:
    """Where their many refusals take all the room that is left, the row forgets the oldest, not the producers."""
    world = full_world(room=4_000)
    producers = [f"server-{n}" for n in range(80)]
    assert send(world, *(removal("nothing", 1, producer=one) for one in producers)) == {"applied": 80}
    conflicts = [removal("f1", n, producer=one, if_version="nowhere:1") for n in range(2, 33) for one in producers]
    assert send(world, *conflicts) == {"conflict": len(conflicts)}
    assert len(stored(world)) < DYNAMODB_ITEM_BYTES_MAX - 1024


def test_a_repeat_on_a_row_beyond_its_limit_is_still_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 2: a limit that was lowered, or that refusals have passed, takes back nothing."""
    world = full_world()
    monkeypatch.setattr(fitting, "ROW_BYTES_MAX", len(stored(world)) // 2)
    monkeypatch.setattr(fitting, "FULL_ROW_BYTES_MAX", len(stored(world)) // 2)
    assert world.apply.handle(records(world)).outcomes == {"duplicate": 25}


def test_a_row_that_takes_no_step_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal for the sake of another row changes nothing in a full one, neither stored nor kept."""
    world = full_world()
    monkeypatch.setattr(fitting, "FULL_ROW_BYTES_MAX", size_without_causes(world) - 10)
    before = stored(world)
    both = update({"op": "subtract", "n": 5}, {"state_key": "settings", "op": "remove", "field": "f1"})
    assert send(world, both) == {"refused:insufficient": 1}
    assert stored(world) == before
    monkeypatch.undo()
    assert world.apply.handle(records(world)[:25]).outcomes == {"duplicate": 25}


def test_a_long_list_of_wants_is_not_kept_where_it_does_not_fit() -> None:
    """The update is refused as it would be; what it wants to be given has to be asked for in parts."""
    schema = parse_schema('[game]\nname = "t"\nversion = 1\n[keys.bag]\ntype = "inventory"')
    world = World(schema=schema)
    there = Apply(schema, "elsewhere", world.store, world.dead_letters, world.clock)
    names = [f"{n:0120d}" for n in range(2_500)]
    world.put_updates(
        *(
            update(
                *({"state_key": "bag", "op": "add", "item": name, "n": 5} for name in names[part : part + 25]),
                sequence=sequence,
            )
            for sequence, part in enumerate(range(0, len(names), 25), start=1)
        )
    )
    assert there.handle(records(world)).outcomes == {"applied": 100}
    emptied = update({"state_key": "bag", "op": "replace", "items": {}}, producer="other")
    assert send(world, emptied) == {"refused:rights_elsewhere": 1}
    assert len(stored(world, Key("ada", "bag"))) <= FULL_ROW_BYTES_MAX
    assert send(world, emptied) == {"duplicate": 1}


def heavy_world(players: int) -> World:
    """A world in which players have settings that are nearly full."""
    world = World()
    for n in range(players):
        fields = [
            {"player_id": f"player-{n}", "state_key": "settings", "op": "set", "field": f"f{f}", "value": "x" * 15_000}
            for f in range(24)
        ]
        assert send(world, *[update(field, sequence=f) for f, field in enumerate(fields, start=1)]) == {"applied": 24}
    return world


def touching(*players: int, sequence: int = 100) -> Update:
    """An update of several players' settings."""
    ops = [
        {"player_id": f"player-{n}", "state_key": "settings", "op": "set", "field": "f1", "value": "y"} for n in players
    ]
    return update(*ops, sequence=sequence)


def test_an_update_of_rows_too_large_together_is_refused() -> None:
    """Promise 10: what no transaction could write holds nothing up; it is refused, and remembered, and nothing of it
    takes effect. Fewer of the same rows are written.
    """
    world = heavy_world(12)
    assert 12 * len(stored(world, Key("player-0", "settings"))) > GROUP_BYTES_MAX
    assert send(world, touching(*range(12))) == {"refused:row_too_large": 1}
    assert send(world, touching(*range(12))) == {"duplicate": 1}
    for n in range(12):
        values = Images(world.schema).read("settings", stored(world, Key(f"player-{n}", "settings"))).value
        assert b'"y"' not in values
    assert send(world, touching(*range(5), sequence=101)) == {"applied": 1}


def test_updates_that_hang_together_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates that share rows are one group only as far as one transaction can write it."""
    world = heavy_world(12)
    groups: list[int] = []
    commit = world.store.commit

    def noting(given: Any) -> Any:
        groups.extend(sum(len(write.new) for write in group) for group in given)
        return commit(given)

    monkeypatch.setattr(world.store, "commit", noting)
    chained = [touching(n, n + 1, n + 2, sequence=200 + n) for n in range(0, 10, 2)]
    assert send(world, *chained) == {"applied": len(chained)}
    assert len(groups) > 1
    assert max(groups) <= GROUP_BYTES_MAX
