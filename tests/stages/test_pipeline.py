"""The whole way, on memory backends that deliver in any order and twice: everything ends where it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.model import Key, Notice, Update
from playerstate.runtime.messages import QueueConsumer
from stages.world import World, update

PLAYERS = st.sampled_from(["ada", "eve", "bob"])


def op_strategy() -> st.SearchStrategy[dict[str, Any]]:
    """Operations of keys whose end does not depend on which of them are refused."""
    names = st.sampled_from(["ada", "eve", "bob", "zoe"])
    return st.one_of(
        st.builds(
            lambda p, n: {"player_id": p, "state_key": "experience", "op": "add", "n": n}, PLAYERS, st.integers(-9, 9)
        ),
        st.builds(
            lambda p, v: {"player_id": p, "state_key": "position", "op": "set", "value": v}, PLAYERS, st.integers(0, 9)
        ),
        st.builds(
            lambda p, o, e: {"player_id": p, "state_key": "friends", "op": o, "elements": sorted(e)},
            PLAYERS,
            st.sampled_from(["add", "remove"]),
            st.sets(names, min_size=1),
        ),
        st.builds(
            lambda p, v: {"player_id": p, "state_key": "guild", "op": "set", "value": v},
            PLAYERS,
            st.sampled_from([None, "red", "blue"]),
        ),
    )


def expected_after(updates: list[Update]) -> dict[Key, Any]:
    """What plain Python makes of the same operations."""
    state: dict[Key, Any] = {}
    for item in updates:
        for op in item.ops:
            before = state.get(op.key)
            if op.state_key == "experience":
                state[op.key] = (before or 0) + op.n
            elif op.state_key == "friends":
                elements = set(before or ())
                state[op.key] = sorted(elements | set(op.elements) if op.op == "add" else elements - set(op.elements))
            else:
                state[op.key] = op.value
    return state


@given(
    ops=st.lists(st.lists(op_strategy(), min_size=1, max_size=3), min_size=1, max_size=25),
    repeats=st.lists(st.integers(0, 24), max_size=15),
    seed=st.integers(0, 1000),
)
def test_store_cache_graph_and_audit_agree_with_plain_python(
    ops: list[list[dict[str, Any]]], repeats: list[int], seed: int
) -> None:
    """Promises 2, 8 and 9 where nothing fails: one effect each, in step everywhere, and every step explained once."""
    sequences: Counter[tuple[str, str]] = Counter()
    updates = []
    for item in ops:
        first = (item[0]["player_id"], item[0]["state_key"])
        sequences[first] += 1
        updates.append(update(*item, sequence=sequences[first]))
    world = World(seed=seed)
    world.put_updates(*updates, *(updates[index % len(updates)] for index in repeats))
    world.step_all()
    expected = expected_after(updates)
    assert {key: world.value(*key) for key in expected} == expected
    for key, value in expected.items():
        if key.state_key in ("friends", "guild"):
            targets = value if isinstance(value, list) else [value] if value else []
            assert world.graph.edges(key)[1] == sorted(targets)
    rows = [(u.producer, u.sequence, *key) for u in updates for key in {op.key for op in u.ops}]
    assert sorted(world.causes()) == sorted(rows)
    assert world.dead_letters.count() == 0


@given(garbage=st.lists(st.binary(max_size=100), max_size=5))
def test_garbage_on_a_queue_stops_nobody(garbage: list[bytes]) -> None:
    """Promise 10: a message that is no batch of notices becomes a dead letter, and those behind it are taken."""
    world = World()
    world.put_updates(update({"state_key": "friends", "op": "add", "elements": ["eve"]}))
    for queue in world.queues.values():
        queue.send(garbage)
    world.step_all()
    assert world.graph.edges(Key("ada", "friends"))[1] == ["eve"]
    assert world.audit.count() == 1
    assert world.dead_letters.count() == 2 * len(set(garbage))


def test_a_notice_that_a_stage_cannot_take_spoils_no_others() -> None:
    """Promise 10: one of a message's notices makes the stage fail; the others are recorded, it is put aside."""
    world = World()
    players = [f"p{n}" for n in range(5)]
    world.put_updates(*(update({"player_id": player, "op": "add", "n": 1}) for player in players))
    good = world.record.handle

    def handle(notices: Sequence[Notice]) -> int:
        if any(notice.player_id == "p3" for notice in notices):
            raise ZeroDivisionError
        return good(notices)

    audit = QueueConsumer("audit", world.queues["audit"], handle, world.dead_letters, world.clock)
    apply, project, *_ = world.consumers()
    while apply.step() + project.step() + audit.step():
        pass
    assert [player for player in players if world.audit.history(player)] == ["p0", "p1", "p2", "p4"]
    (letter,) = world.dead_letters.list()
    assert (letter.stage, letter.code) == ("audit", "internal")
