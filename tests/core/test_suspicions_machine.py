"""Suspicions beside a system that tells the truth, late: whatever it shows, and whenever one looks, nothing is found.

A store counts up; a cache follows it on a way that may stand still for any time; a graph follows on one of which nobody
knows how far it has come, but which is never as late as its limit; a copy elsewhere cannot always be reached. Looks
read the parts before the store, with anything happening in between.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, Kind, copies_in
from playerstate.core.model import Key
from playerstate.core.suspicions import Suspicions, Way

KEYS = [Key("ada", "gold"), Key("ada", "bag"), Key("eve", "gold")]
ELSEWHERE = copies_in("b")
STALE_MS = 4_000
UNTIL_GRAPH_MS = STALE_MS - 1

some_keys = st.sampled_from(KEYS)


class LaggingSystem(RuleBasedStateMachine):
    """Versions are counts of a key's writes; changes are listed in the order of writing."""

    @initialize()
    def begin(self) -> None:
        """Nothing is written."""
        self.suspicions = Suspicions(lambda _place: STALE_MS)
        self.now = 0
        self.changes: list[Key] = []
        self.passed = {CACHE: 0, ELSEWHERE: 0}
        self.graph: dict[Key, tuple[int, int]] = {}
        self.written_at: dict[Key, list[int]] = {key: [] for key in KEYS}
        self.evicted: set[Key] = set()
        self.found = 0

    @rule(key=some_keys, times=st.integers(1, 3))
    def write(self, key: Key, times: int) -> None:
        """Some more changes of a key."""
        for _ in range(times):
            self.changes.append(key)
            self.written_at[key].append(self.now)

    @rule(place=st.sampled_from([CACHE, ELSEWHERE]), steps=st.integers(1, 5))
    def follow(self, place: str, steps: int) -> None:
        """A way goes on."""
        self.passed[place] = min(self.passed[place] + steps, len(self.changes))
        self.evicted &= set(self.changes[self.passed[CACHE] :])

    @rule(key=some_keys)
    def notify(self, key: Key) -> None:
        """The graph is told of any version of a key, the latest or an older one."""
        self._tell_graph(key, len(self.written_at[key]))

    @rule(key=some_keys)
    def evict(self, key: Key) -> None:
        """The cache loses a key, and claims nothing about it."""
        self.evicted.add(key)

    @rule(ms=st.sampled_from([100, 900, 1_000, 2_500, 60_000]))
    def wait(self, ms: int) -> None:
        """Time passes; the graph is never later than it may be."""
        for _ in range(0, ms, 100):
            self.now += 100
            for key, times in self.written_at.items():
                late = [n for n, at in enumerate(times, 1) if self.now - at >= UNTIL_GRAPH_MS - 100]
                self._tell_graph(key, len(late))

    @rule(data=st.data(), cut=st.booleans(), only=st.sampled_from([["ada"], ["eve"], ["ada", "eve"]]))
    def look(self, data: st.DataObject, cut: bool, only: list[str]) -> None:
        """Read how far the ways have come, then the parts, then the store, then where the ways end."""
        passed = dict(self.passed)
        self._happen(data)
        cached = self._followed(CACHE)
        self._happen(data)
        graph = {key: self.graph.get(key, (0, 0))[0] for key in KEYS}
        self._happen(data)
        copied = self._followed(ELSEWHERE)
        self._happen(data)
        stored = {key: len(times) for key, times in self.written_at.items()}
        self._happen(data)
        places = {CACHE: cached, GRAPH: graph} if cut else {CACHE: cached, GRAPH: graph, ELSEWHERE: copied}
        differences = [
            Difference(place, key, Kind.LAGGING, f"a:{stored[key]}", f"a:{there[key]}" if there[key] else "")
            for place, there in places.items()
            for key in KEYS
            if key.player_id in only and there[key] != stored[key] and not (place == CACHE and key in self.evicted)
        ]
        ways = {place: Way(passed[place], len(self.changes)) for place in places if place in passed}
        noted = self.suspicions.note(only, places, differences, ways, self.now)
        self.found += len(noted.confirmed)

    @rule()
    def look_when_due(self) -> None:
        """Who is due is suspected."""
        assert set(self.suspicions.due(self.now, 10)) <= {key.player_id for key in KEYS}

    @invariant()
    def nothing_is_found(self) -> None:
        """Promise 8: ordinary lag raises no alarm."""
        assert getattr(self, "found", 0) == 0

    def _happen(self, data: st.DataObject) -> None:
        happens = data.draw(st.sampled_from(["", "", "write", "cache", "copy", "graph"]))
        key = data.draw(some_keys) if happens else KEYS[0]
        if happens == "write":
            self.write(key, 1)
        elif happens in ("cache", "copy"):
            self.follow(CACHE if happens == "cache" else ELSEWHERE, 1)
        elif happens == "graph":
            self.notify(key)

    def _followed(self, place: str) -> dict[Key, int]:
        seen = self.changes[: self.passed[place]]
        return {key: seen.count(key) for key in KEYS}

    def _tell_graph(self, key: Key, n: int) -> None:
        if n > self.graph.get(key, (0, 0))[0]:
            self.graph[key] = (n, self.now)


TestLaggingSystem = LaggingSystem.TestCase
TestLaggingSystem.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
