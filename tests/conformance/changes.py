"""What the changes of every store guarantee."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from builders import KEY, write
from conformance.store_base import OTHER, OnAStore, StoreWithChanges, chain
from conformance.suite import run_together, until, walk
from playerstate.core.model import Key
from playerstate.ports.store import Change


class ChangesSuite(OnAStore):
    def test_none_before_the_first_write(self, store: StoreWithChanges) -> None:
        """A new store has no changes and the head 0."""
        assert (store.changes.head(), store.changes.read(0, 10)) == (0, [])

    def test_old_and_new_in_commit_order(self, store: StoreWithChanges) -> None:
        """Every write is told once, in the order of committing, with the rows before and after it."""
        first, second, third = chain(KEY, 3)
        far = write(KEY, 1, region="us-east-1")
        for group in ([first], [far], [second, write(OTHER, 1)], [third]):
            assert store.commit([group]) == [True]
        changes = store.changes.read(0, 100)
        assert [(change.key, change.region, change.old, change.new) for change in changes] == [
            (w.key, w.region, w.old, w.new) for w in (first, far, second, write(OTHER, 1), third)
        ]
        assert all(one.position < next_.position for one, next_ in pairwise(changes))
        assert (changes[0].position > 0, changes[-1].position) == (True, store.changes.head())

    def test_there_when_commit_returns(self, store: StoreWithChanges) -> None:
        """A change can be read as soon as its commit has returned."""
        for n, w in enumerate(chain(KEY, 5)):
            head = store.changes.head()
            store.commit([[w]])
            assert [change.new for change in store.changes.read(head, 10)] == [w.new]
            assert len(store.changes.read(0, 10)) == n + 1

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_paging_misses_and_repeats_nothing(self, store: StoreWithChanges, limit: int) -> None:
        """Going on from the last position seen yields every change once, in pages of at most the limit."""
        writes = chain(KEY, 7)
        store.commit([[w] for w in writes[:4]])
        store.commit([[w] for w in writes[4:]])
        seen = walk(lambda last: store.changes.read(last.position if last else 0, limit), limit)
        assert [change.new for change in seen] == [w.new for w in writes]

    @pytest.mark.usefixtures("trimming")
    def test_trim_deletes_changes_and_no_rows(self, store: StoreWithChanges) -> None:
        """Trimming deletes changes up to the position, says how many, and leaves the rows and later changes."""
        writes = chain(KEY, 3)
        store.commit([[w] for w in writes])
        second = store.changes.read(0, 10)[1].position
        assert store.changes.trim(second) == 2
        assert store.changes.trim(second) == 0
        assert [change.new for change in store.changes.read(0, 10)] == [writes[2].new]
        assert store.load([KEY]) == {KEY: {"eu-west-1": writes[2].new}}

    @pytest.mark.usefixtures("trimming")
    def test_positions_are_never_used_again(self, store: StoreWithChanges) -> None:
        """After everything was trimmed the head stays, and the next change lies beyond it."""
        writes = chain(KEY, 3)
        store.commit([[w] for w in writes[:2]])
        head = store.changes.head()
        assert store.changes.trim(head + 100) == 2
        assert (store.changes.head(), store.changes.read(0, 10)) == (head, [])
        store.commit([[writes[2]]])
        assert [change.new for change in store.changes.read(head, 10)] == [writes[2].new]
        assert store.changes.head() > head

    def test_reader_is_complete_while_others_commit(self, store: StoreWithChanges) -> None:
        """Whoever follows the changes misses none, and finds in the store at least what each one tells."""
        keys = [Key(player, "gold") for player in "abc"]
        count = 20
        chains = {key: [w.new for w in chain(key, count)] for key in keys}
        seen: list[Change] = []

        def write_all(key: Key) -> None:
            for w in chain(key, count):
                assert store.commit([[w]]) == [True]

        def follow() -> None:
            position = 0
            for _ in until(lambda: len(seen) >= len(keys) * count, "the reader to see every change"):
                for change in store.changes.read(position, 5):
                    assert change.position > position
                    position = change.position
                    seen.append(change)
                    row = store.load([change.key])[change.key]["eu-west-1"]
                    assert chains[change.key].index(row) >= chains[change.key].index(change.new)

        run_together(follow, *[lambda key=key: write_all(key) for key in keys])
        for key in keys:
            assert [change.new for change in seen if change.key == key] == chains[key]

    @pytest.mark.usefixtures("durable")
    def test_outlive_a_crash(self, path: Path) -> None:
        """Changes of acknowledged writes are in the files, whether or not the process could close them."""
        writes = chain(KEY, 3)
        with self.open(path) as store:
            store.commit([[w] for w in writes])
            before = store.changes.read(0, 10)
            with self.open(self.crashed(path)) as recovered:
                assert recovered.changes.read(0, 10) == before
        with self.open(path) as reopened:
            assert reopened.changes.read(0, 10) == before

    @pytest.mark.usefixtures("durable", "trimming")
    def test_positions_are_never_used_again_after_a_restart(self, path: Path) -> None:
        """Positions go on rising when every change was trimmed before the restart."""
        writes = chain(KEY, 3)
        with self.open(path) as store:
            store.commit([[w] for w in writes[:2]])
            head = store.changes.head()
            store.changes.trim(head)
        with self.open(path) as store:
            assert store.changes.head() == head
            store.commit([[writes[2]]])
            assert [change.new for change in store.changes.read(head, 10)] == [writes[2].new]
