"""The generated load: the same from the same seed, valid, and with identities as clients give them."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.check import Checker
from playerstate.core.model import Op, Update
from playerstate.core.schema import parse_schema
from playerstate.folder import starter_schema
from playerstate.workload.calls import in_calls
from playerstate.workload.ledger import RULES, Ledger
from playerstate.workload.life import Life

LENGTH = 20_000


def load(seed: int = 7, *, players: int = 200, length: int = LENGTH) -> list[Update]:
    return list(islice(Life(seed, players=players), length))


def test_the_same_seed_gives_the_same_load() -> None:
    """A run can be repeated; another seed gives another."""
    assert load(length=2000) == load(length=2000)
    assert load(length=2000) != load(8, length=2000)


def test_every_update_can_take_effect() -> None:
    """Accept would take them all."""
    checker = Checker(parse_schema(starter_schema()))
    for update in load():
        checker.check(update)


def test_sequences_are_a_line_per_producer_and_first_key() -> None:
    """1, 2, 3, ... for each, as the protocol asks of a client."""
    lines: defaultdict[object, list[int]] = defaultdict(list)
    for update in load():
        lines[update.producer, update.first_key].append(update.sequence)
    assert all(line == list(range(1, len(line) + 1)) for line in lines.values())
    assert len({producer for producer, _ in lines}) > 1


def test_it_is_life_like() -> None:
    """All keys, several operations at once, two players at once, few busy players and many quiet."""
    updates = load()
    ledger = Ledger()
    outcomes = Counter(ledger.book(update) for update in updates)
    busy = Counter(update.first_key.player_id for update in updates)
    assert {op.state_key for update in updates for op in update.ops} == RULES.keys()
    assert any(len({op.player_id for op in update.ops}) == 2 for update in updates)
    assert any(len(update.ops) >= 3 for update in updates)
    assert 0 < outcomes["refused:insufficient"] < 0.01 * LENGTH
    assert busy.most_common(1)[0][1] > 10 * sorted(busy.values())[len(busy) // 2]


def test_friend_lists_stay_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it goes on, on either side of a friendship: the schema bounds lists, and the ledger does not."""
    monkeypatch.setattr("playerstate.workload.life.FRIENDS_MAX", 5)
    ledger = Ledger()
    for update in load():
        ledger.book(update)
    lists = [value for key, value in ledger.expected().values.items() if key.state_key == "friends"]
    assert max(map(len, lists)) == 5


player_pairs = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), max_size=40)


@given(player_pairs, st.integers(1, 6))
def test_calls_keep_what_must_stay_in_order(players: list[list[str]], size_max: int) -> None:
    """All updates in their order; in one call no player is touched by updates of two first players."""
    updates = [
        Update([Op(player, "friends", "add", elements=["x"]) for player in touched], "server", n)
        for n, touched in enumerate(players, start=1)
    ]
    calls = list(in_calls(updates, size_max))
    assert [update for call in calls for update in call] == updates
    for call in calls:
        assert 1 <= len(call) <= size_max
        firsts: defaultdict[str, set[str]] = defaultdict(set)
        for update in call:
            for op in update.ops:
                firsts[op.player_id].add(update.first_key.player_id)
        assert all(len(first) == 1 for first in firsts.values())
