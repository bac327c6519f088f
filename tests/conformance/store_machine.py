"""A store beside a model of it that is too plain to be wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from playerstate.core.model import Key
from playerstate.core.replica import Write

if TYPE_CHECKING:
    from conformance.store_base import StoreWithChanges

STORE_MACHINE_SETTINGS = settings(max_examples=40, stateful_step_count=25, deadline=None)

KEYS = [Key("anna", "gold"), Key("anna", "gold2"), Key("bob", "gold")]
REGIONS = ["eu-west-1", "eu-west-1.2"]

# where to write, and whether upon the vector that is there, upon none, or upon one that never was
intents = st.tuples(
    st.sampled_from(KEYS), st.sampled_from(REGIONS), st.sampled_from(["current"] * 6 + ["absent", "wrong"])
)
groups_of_intents = st.lists(st.lists(intents, min_size=1, max_size=3, unique_by=lambda i: i[:2]), max_size=4)


Open: TypeAlias = "Callable[[Path], AbstractContextManager[StoreWithChanges]]"


class StoreMachine(RuleBasedStateMachine):
    """Commits, reads, walks and trims on a store and on dicts."""

    def __init__(self, open_store: Open, *, ordered: bool, trims: bool) -> None:
        super().__init__()
        self._ordered, self._trims = ordered, trims
        self._folder = tempfile.TemporaryDirectory()
        self._opened = open_store(Path(self._folder.name) / "store")
        self._store = self._opened.__enter__()
        self._rows: dict[tuple[Key, str], tuple[str, bytes]] = {}
        self._changes: list[tuple[Key, str, bytes | None, bytes]] = []
        self._trimmed = 0
        self._count = 0

    @rule(groups=groups_of_intents)
    def commit(self, groups: list[list[tuple[Key, str, str]]]) -> None:
        """Any groups, some of which cannot be; later ones upon earlier ones."""
        batch, expected = [], []
        for intents_of_group in groups:
            group = [self._write(*intent) for intent in intents_of_group]
            batch.append(group)
            expected.append(self._commit_to_model(group))
        assert self._store.commit(batch) == expected

    @rule(keys=st.lists(st.sampled_from(KEYS), max_size=4))
    def load(self, keys: list[Key]) -> None:
        """Any keys, some twice."""
        assert self._store.load(keys) == {key: self._rows_of(key) for key in keys}

    @rule(player_id=st.sampled_from(["anna", "bob", "carl"]))
    def load_player(self, player_id: str) -> None:
        """All keys of a player."""
        keys = {key for key, _ in self._rows if key.player_id == player_id}
        assert self._store.load_player(player_id) == {key: self._rows_of(key) for key in keys}

    @rule(after=st.none() | st.sampled_from(KEYS), limit=st.integers(1, 4))
    def keys(self, after: Key | None, limit: int) -> None:
        """The next keys; in an order of the store's own, all of them."""
        if not self._ordered:
            assert sorted(self._store.keys(None, 1000)) == sorted({key for key, _ in self._rows})
            return
        beyond = [key for key in sorted({key for key, _ in self._rows}) if after is None or key > after]
        assert self._store.keys(after, limit) == beyond[:limit]

    @precondition(lambda self: self._trims and self._changes)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        """Some of the changes that are left."""
        left = self._store.changes.read(0, 1000)
        if left:
            n = data.draw(st.integers(1, len(left)))
            assert self._store.changes.trim(left[n - 1].position) == n
            self._trimmed += n

    @invariant()
    def changes_are_those_of_the_model(self) -> None:
        """What is told and not yet trimmed is what the model did, and the head is its end.

        A store that scatters keys tells of different rows in an order of its own.
        """
        changes = self._store.changes.read(0, 1000)
        told, done = [tuple(change[1:]) for change in changes], self._changes[self._trimmed :]
        if not self._ordered:
            told, done = sorted(told, key=_row), sorted(done, key=_row)
        assert told == done
        if changes:
            assert changes[-1].position == self._store.changes.head()

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)
        self._folder.cleanup()

    def _write(self, key: Key, region: str, upon: str) -> Write:
        self._count += 1
        version, body = self._rows.get((key, region), (None, None))
        seen = {"current": version, "absent": None, "wrong": "eu-west-1:999999"}[upon]
        return Write(key, region, seen, f"eu-west-1:{self._count}", body, f"body {self._count}".encode())

    def _commit_to_model(self, group: list[Write]) -> bool:
        if any(self._rows.get((w.key, w.region), (None, None))[0] != w.seen for w in group):
            return False
        for w in group:
            self._changes.append((w.key, w.region, w.old, w.new))
            self._rows[w.key, w.region] = (w.version, w.new)
        return True

    def _rows_of(self, key: Key) -> dict[str, bytes]:
        return {region: body for (of, region), (_, body) in self._rows.items() if of == key}


def _row(change: tuple[Any, ...]) -> tuple[Any, ...]:
    return change[:2]


def store_machine_on(open_store: Open, *, ordered: bool, trims: bool) -> type[StoreMachine]:
    """The machine for one backend, as Hypothesis wants it: made without arguments."""

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(open_store, ordered=ordered, trims=trims)

    return Machine
