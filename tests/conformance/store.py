"""What every store guarantees."""

from __future__ import annotations

from itertools import count, groupby, product
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from builders import KEY, write
from conformance.store_base import OTHER, OnAStore, StoreWithChanges, chain, told
from conformance.store_machine import STORE_MACHINE_SETTINGS, store_machine_on
from conformance.suite import Broken, BrokenInputError, run_together, until, walk
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.ports.store import Store

# names that begin alike, differ in case only, sort around `#`, or mean something to SQL
PLAYERS = ["anna", "Anna", "anna2", "anna ", "ann", "o'brien", '"q"', "100%", "a_na", "a#b", "naïve", "😀", "\uffee"]
NAMES = ["gold", "Gold", "gold2", "gold!", "gold coins", 'gold"', "gold$", "gold%", "gol", "g_ld", "it's", "金"]
REGIONS = ["eu-west-1", "eu-west-1.2", "eu-west-10", "us-east-1"]


class StoreSuite(OnAStore):
    def test_unwritten_key(self, store: StoreWithChanges) -> None:
        """A key that nobody wrote has no rows, and is answered all the same."""
        assert store.load([KEY, OTHER]) == {KEY: {}, OTHER: {}}
        assert store.load([]) == {}
        assert store.load_player("anna") == {}
        assert store.keys(None, 10) == []

    def test_loads_exactly_the_rows_of_each_key(self, store: StoreWithChanges) -> None:
        """Names that begin alike, differ in case, or hold quotes and wildcards are not mixed up; nor are regions."""
        expected = write_everything(store)
        assert store.load(list(expected)) == expected
        for key in expected:
            assert store.load([key]) == {key: expected[key]}
        absent = [Key("anna", "go"), Key("nobody", "gold"), Key("anna", "g%")]
        assert store.load(absent) == {key: {} for key in absent}

    def test_loads_exactly_the_rows_of_a_player(self, store: StoreWithChanges) -> None:
        """A player's keys are loaded with all their rows, and nobody else's."""
        expected = write_everything(store)
        for player_id in PLAYERS:
            own = {key: rows for key, rows in expected.items() if key.player_id == player_id}
            assert store.load_player(player_id) == own
        assert store.load_player("%") == {}

    @pytest.mark.parametrize("limit", [1, 2, 5, 1000])
    def test_keys_walks_through_everything(self, store: StoreWithChanges, limit: int) -> None:
        """Walking in pages meets every key once, whatever it is called, and a player's keys together."""
        expected = sorted(write_everything(store))
        walked = walk(lambda last: store.keys(last, limit), limit)
        assert sorted(walked) == expected
        assert len(list(groupby(walked, lambda key: key.player_id))) == len(PLAYERS)

    @pytest.mark.usefixtures("ordered")
    @pytest.mark.parametrize("limit", [1, 1000])
    def test_keys_are_in_order(self, store: StoreWithChanges, limit: int) -> None:
        """That of player and state key, whatever they are called."""
        expected = sorted(write_everything(store))
        assert walk(lambda last: store.keys(last, limit), limit) == expected

    def test_keys_goes_on_behind_a_player(self, store: StoreWithChanges) -> None:
        """A walk that goes on beyond whatever keys the last player may have meets every player once."""
        keys = [Key(player_id, name) for player_id in ("anna", "bob", "carl") for name in ("gold", "rank", "\uffee")]
        store.commit([[write(key, 1)] for key in keys])
        players: list[str] = []
        while page := store.keys(Key(players[-1], "\U0010ffff") if players else None, 2):
            players.append(page[0].player_id)
        assert sorted(players) == ["anna", "bob", "carl"]

    @pytest.mark.usefixtures("ordered")
    def test_keys_goes_on_after_a_key_that_is_not_there(self, store: StoreWithChanges) -> None:
        """The cursor of a walk need not be a key of the store."""
        keys = [Key("anna", "gold"), Key("anna", "rank"), Key("bob", "gold")]
        store.commit([[write(key, 1)] for key in keys])
        assert store.keys(Key("anna", "h"), 10) == keys[1:]
        assert store.keys(Key("anna", "zzz"), 10) == keys[2:]
        assert store.keys(Key("aa", ""), 10) == keys
        assert store.keys(Key("bob", "gold"), 10) == []

    def test_bodies_are_opaque(self, store: StoreWithChanges) -> None:
        """Any bytes come back as they were, from the rows and from the changes."""
        for n, body in enumerate([b"", b"\x00\xff{", bytes(range(256)) * 1024]):
            key = Key("anna", f"k{n}")
            assert store.commit([[Write(key, "eu-west-1", None, "eu-west-1:1", None, body)]]) == [True]
            assert store.load_player("anna")[key] == {"eu-west-1": body}
            assert store.changes.read(0, 10)[-1].new == body

    @pytest.mark.parametrize(
        ("present", "seen", "written"),
        [
            pytest.param(None, None, True, id="absent"),
            pytest.param(None, "eu-west-1:1", False, id="missing"),
            pytest.param("eu-west-1:2", None, False, id="there already"),
            pytest.param("eu-west-1:2", "eu-west-1:2", True, id="equal"),
            pytest.param("eu-west-1:2", "eu-west-1:1", False, id="stale"),
            pytest.param("eu-west-1:2", "eu-west-1:3", False, id="ahead"),
            pytest.param("eu-west-1:2", "eu-west-1:2,us-east-1:1", False, id="of other regions too"),
            pytest.param("eu-west-1:2", "eu-west-1:22", False, id="longer text"),
        ],
    )
    def test_condition(self, store: StoreWithChanges, present: str | None, seen: str | None, written: bool) -> None:
        """A write takes place if the row has exactly the vector that was read; otherwise nothing changes."""
        old = None
        if present:
            old = b"old"
            store.commit([[Write(KEY, "eu-west-1", None, present, None, old)]])
        head = store.changes.head()
        assert store.commit([[Write(KEY, "eu-west-1", seen, "eu-west-1:9", old, b"new")]]) == [written]
        now = b"new" if written else old
        assert store.load([KEY]) == {KEY: {} if now is None else {"eu-west-1": now}}
        news = [change[1:] for change in store.changes.read(head, 10)]
        assert news == ([(KEY, "eu-west-1", old, b"new")] if written else [])
        assert (store.changes.head() > head) is written

    def test_condition_asks_the_own_region_only(self, store: StoreWithChanges) -> None:
        """Another region's row of the key, there or not, is nothing to a write."""
        here, there = write(KEY, 1), write(KEY, 1, region="us-east-1")
        there_again = write(KEY, 2, after=there, region="us-east-1")
        for one in (there, here, there_again):
            assert store.commit([[one]]) == [True]
        assert store.load([KEY]) == {KEY: {"eu-west-1": here.new, "us-east-1": there_again.new}}

    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_group_is_all_or_nothing(self, store: StoreWithChanges, failing: int) -> None:
        """One failed condition, wherever it stands in its group, and nothing of the group is written or told."""
        keys = [Key("anna", "gold"), Key("bob", "gold"), Key("bob", "sword")]
        there = [write(key, 1) for key in keys]
        store.commit([there[:2]])
        group = [write(keys[0], 2, after=there[0]), write(keys[1], 2, after=there[1]), write(keys[2], 1)]
        group[failing] = group[failing]._replace(seen="eu-west-1:7")
        before, head = store.load(keys), store.changes.head()
        assert store.commit([group]) == [False]
        assert (store.load(keys), store.changes.head()) == (before, head)

    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_groups_are_independent(self, store: StoreWithChanges, failing: int) -> None:
        """A group that fails keeps none of the others from being written; the answers stand in their order.

        In which order groups of different rows are told is the store's affair.
        """
        groups = [[write(Key(player, name), 1) for name in ("gold", "sword")] for player in ("a", "b", "c")]
        groups[failing][1] = groups[failing][1]._replace(seen="eu-west-1:7")
        assert store.commit(groups) == [n != failing for n in range(3)]
        written = [w for n, group in enumerate(groups) if n != failing for w in group]
        assert sorted(store.keys(None, 10)) == [w.key for w in written]
        assert sorted(told(store)) == [(w.key, w.old, w.new) for w in written]

    def test_later_groups_see_earlier_ones(self, store: StoreWithChanges) -> None:
        """Within one call a group stands upon what those before it wrote, and not upon what they failed to."""
        first, second, third = chain(KEY, 3)
        again, other = write(KEY, 1), write(OTHER, 1)
        assert store.commit([[first], [again], [second, other], [third]]) == [True, False, True, True]
        assert store.load([KEY, OTHER]) == {KEY: {"eu-west-1": third.new}, OTHER: {"eu-west-1": other.new}}
        assert told(store) == [
            (KEY, None, first.new),
            (KEY, first.new, second.new),
            (OTHER, None, other.new),
            (KEY, second.new, third.new),
        ]

    def test_earlier_groups_do_not_see_later_ones(self, store: StoreWithChanges) -> None:
        """A group that stands upon what only a later one writes fails."""
        first, second = chain(KEY, 2)
        assert store.commit([[second], [first]]) == [False, True]
        assert told(store) == [(KEY, None, first.new)]

    def test_group_upon_a_failed_one_fails(self, store: StoreWithChanges) -> None:
        """A group that was made upon a write that failed fails too."""
        first = write(KEY, 1)
        lost = write(KEY, 2, after=first._replace(version="eu-west-1:7"))
        upon_it = write(KEY, 3, after=lost)
        assert store.commit([[first], [lost], [upon_it, write(OTHER, 1)]]) == [True, False, False]
        assert told(store) == [(KEY, None, first.new)]

    def test_nothing_to_commit(self, store: StoreWithChanges) -> None:
        """A call without groups changes nothing."""
        assert store.commit([]) == []
        assert store.changes.head() == 0

    def test_call_that_raises_has_written_nothing(self, store: StoreWithChanges) -> None:
        """When a call fails as a whole, none of its groups is written, however good."""
        store.commit([[write(OTHER, 1)]])
        head = store.changes.head()
        with pytest.raises(BrokenInputError):
            store.commit([[write(KEY, 1)], Broken(write(Key("anna", "sword"), 1))])
        assert store.keys(None, 10) == [OTHER]
        assert store.changes.head() == head
        assert store.commit([[write(KEY, 1)]]) == [True]

    def test_racing_writers_lose_nothing(self, store: StoreWithChanges) -> None:
        """Of groups tried at the same time on the same rows one is written, and whole: each row has seen the same
        ones, each upon the one before.
        """
        writers, steps = 3, self.race_steps
        keys = [Key(f"player-{n}", "gold") for n in range(12)]  # many, so that a commit is long enough to be met
        numbers = count(1)

        def try_once() -> bool:
            version = f"eu-west-1:{next(numbers)}"
            group = []
            for key, rows in store.load(keys).items():
                old = rows.get("eu-west-1")
                seen = old.decode() if old else None
                group.append(Write(key, "eu-west-1", seen, version, old, version.encode()))
            return store.commit([group]) == [True]

        def write_until_done() -> None:
            for _ in range(steps):
                for _ in until(try_once, "a group to be written"):
                    pass

        run_together(*[write_until_done] * writers)
        changes = store.changes.read(0, 100_000)
        histories = [[(change.old, change.new) for change in changes if change.key == key] for key in keys]
        news = [new for _, new in histories[0]]
        assert len(set(news)) == len(news) == writers * steps
        assert histories == [list(zip([None, *news[:-1]], news, strict=True))] * len(keys)

    def test_agrees_with_a_plain_model(self) -> None:
        """Whatever is committed, read, walked and trimmed, in any order: the store does what a dict would."""
        run_state_machine_as_test(
            store_machine_on(self.open, ordered=not self.scattered, trims=self.trims),
            settings=settings(STORE_MACHINE_SETTINGS, max_examples=self.machine_examples),
        )

    @pytest.mark.usefixtures("durable")
    def test_outlives_a_crash(self, path: Path) -> None:
        """Acknowledged rows are in the files, whether or not the process could close them."""
        writes = chain(KEY, 3)
        with self.open(path) as store:
            store.commit([[w] for w in writes[:2]])
            store.commit([[writes[2], write(OTHER, 1)]])
            before = store.load([KEY, OTHER])
            with self.open(self.crashed(path)) as recovered:
                assert recovered.load([KEY, OTHER]) == before
        with self.open(path) as reopened:
            assert reopened.load([KEY, OTHER]) == before
            assert reopened.commit([[writes[0]], [write(KEY, 4, after=writes[2])]]) == [False, True]


def write_everything(store: Store) -> dict[Key, dict[str, bytes]]:
    """Write rows of every odd name, by several regions, each with a body of its own; what `load` has to give."""
    everything: dict[Key, dict[str, bytes]] = {}
    writes = []
    for n, (player_id, name) in enumerate(product(PLAYERS, NAMES)):
        key = Key(player_id, name)
        for region in REGIONS[: n % len(REGIONS) + 1]:
            body = f"{player_id}|{name}|{region}".encode()
            writes.append(Write(key, region, None, f"{region}:1", None, body))
            everything.setdefault(key, {})[region] = body
    assert store.commit([[w] for w in reversed(writes)]) == [True] * len(writes)
    return everything
