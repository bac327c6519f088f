"""Two caches side by side: whatever is asked of them, in whatever order, they answer alike."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from conformance.cache_base import everybody, key, view
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.core.model import View
from playerstate.core.version_vector import format_vector

CACHE_MACHINE_SETTINGS = settings(max_examples=40, stateful_step_count=30, deadline=None)

PLAYERS, KEYS = ["anna", "bert"], ["gold", "rank"]
players = st.sampled_from(PLAYERS)
keys = st.sampled_from(KEYS)
versions = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 3)).map(format_vector)
views = st.builds(
    lambda player_id, state_key, version, value: view(
        player_id=player_id, state_key=state_key, version=version, value=value
    ),
    players,
    keys,
    versions,
    st.sampled_from(["0", "[]"]),
)


class CacheMachine(RuleBasedStateMachine):
    """Holds `MemoryCache` against `ValkeyCache`, so that tests on the one say something of the other."""

    memory: MemoryCache
    valkey: ValkeyCache

    def __init__(self) -> None:
        super().__init__()
        self.memory.clear()
        self.valkey.clear()
        self.fills: list[tuple[str, str, str]] = []

    @rule(offered=st.lists(views, max_size=5))
    def put(self, offered: list[View]) -> None:
        """The same answers."""
        assert self.memory.put(offered) == self.valkey.put(offered)

    @rule(written=st.lists(views, max_size=3))
    def replace(self, written: list[View]) -> None:
        """Unconditional."""
        self.memory.replace(written)
        self.valkey.replace(written)

    @rule(view=views, version=versions, delete=st.booleans())
    def repair(self, view: View, version: str, delete: bool) -> None:
        """Done by both, or by neither."""
        replacement = None if delete else view
        assert self.memory.repair(view.key, version, replacement) == self.valkey.repair(view.key, version, replacement)

    @rule(view=views, delete=st.booleans())
    def repair_what_is_not_there(self, view: View, delete: bool) -> None:
        """Of a key that is not there, or unwritten."""
        replacement = None if delete else view
        assert self.memory.repair(view.key, "", replacement) == self.valkey.repair(view.key, "", replacement)

    @rule(player_id=players)
    def begin_fill(self, player_id: str) -> None:
        """Tokens differ, what they stand for does not."""
        self.fills.append((player_id, self.memory.begin_fill(player_id), self.valkey.begin_fill(player_id)))

    @precondition(lambda self: self.fills)
    @rule(data=st.data(), offered=st.lists(views, max_size=2))
    def fill(self, data: st.DataObject, offered: list[View]) -> None:
        """Any fill that ever began, also more than once."""
        player_id, memory_token, valkey_token = data.draw(st.sampled_from(self.fills))
        of_player = [view for view in offered if view.player_id == player_id]
        self.memory.fill(player_id, of_player, memory_token)
        self.valkey.fill(player_id, of_player, valkey_token)

    @rule(player_id=players)
    def lose(self, player_id: str) -> None:
        """Eviction."""
        self.memory.evict(player_id)
        self.valkey._connections.call("DEL", f"player:{{{player_id}}}")

    @invariant()
    def hold_the_same(self) -> None:
        """Whatever can be read is the same."""
        assert everybody(self.memory) == everybody(self.valkey)
        every = [key(player_id, state_key) for player_id in PLAYERS for state_key in KEYS]
        assert self.memory.versions(every) == self.valkey.versions(every)
        assert self.memory.inspect(PLAYERS) == self.valkey.inspect(PLAYERS)
        for player_id in PLAYERS:
            assert self.memory.get_player(player_id) == self.valkey.get_player(player_id)
            for state_key in KEYS:
                one = key(player_id, state_key)
                assert self.memory.get(one) == self.valkey.get(one)
