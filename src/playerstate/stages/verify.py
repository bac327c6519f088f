"""Verify: store <-> cache <-> graph <-> other regions' copies -> differences.

    players -> [cache, graph, copies, and then the store; compare] -> differences

The store is read last, each player at one moment, so that nothing can look as if it were ahead of it. Nothing is locked
and nobody waits. What the differences come to, `core/suspicions.py` decides; `Repairs` puts right what is confirmed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from playerstate.core.comparison import Difference, compare_cache, compare_copies, compare_graph, compare_minimum
from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, copies_in
from playerstate.core.images import Images
from playerstate.core.schema import Schema
from playerstate.core.snapshots import Copy, Inspected, PlayerEdges
from playerstate.core.suspicions import Way
from playerstate.errors import InvariantViolated, NotNow
from playerstate.ports.audit import Audit
from playerstate.ports.cache import Cache
from playerstate.ports.graph import Graph
from playerstate.ports.queue import Queue
from playerstate.ports.replication import Copies
from playerstate.ports.store import Changes, Store
from playerstate.ports.stream import Checkpoints
from playerstate.stages.blame import Blame
from playerstate.stages.stored import copy_of, read_player

IMAGES_KEPT_MAX = 256

T = TypeVar("T")


class Verified(NamedTuple):
    """What is compared, and where it is written down how far the others have come.

    `copies` are those of other regions that can be reached now; `cut_off` names the regions that cannot. `waits_for`
    says why this region may not write its rows now, if it may not: it was retired, or has just been restored. `linked`
    is up to which of the store's changes the graph has surely been told, if anybody knows.
    """

    store: Store
    changes: Changes
    checkpoints: Checkpoints
    cache: Cache
    graph: Graph
    audit: Audit
    copies: Callable[[], Sequence[Copies]] = list
    cut_off: Callable[[], Sequence[str]] = list
    waits_for: Callable[[], str] = str
    linked: Callable[[], int] | None = None


class Linked:
    """How far link has come. Its queue has no order; once it is empty, all that was projected has arrived."""

    def __init__(self, checkpoints: Checkpoints, queue: Queue) -> None:
        self._checkpoints = checkpoints
        self._queue = queue
        self._position = 0

    def __call__(self) -> int:
        """The position up to which nothing waits."""
        projected = self._checkpoints.load("project")
        if not self._queue.depth():
            self._position = projected
        return self._position


class Look(NamedTuple):
    """A look at some players: differences, how many keys were compared by place, and why how many were not.

    `ways` say how far the places have come; those that are `away` could not be looked at, of which the `silent` did not
    answer.
    """

    players: Sequence[str]
    differences: list[Difference]
    compared: Counter[str]
    not_checked: Counter[str]
    ways: dict[str, Way]
    away: set[str]
    silent: set[str]


class Verify:
    """The stage, in one region."""

    def __init__(self, schema: Schema, region: str, parts: Verified) -> None:
        self._schema = schema
        self._region = region
        self._parts = parts
        self._images = Images(schema, kept_max=IMAGES_KEPT_MAX)
        self._blame = Blame(region, self._images, parts.audit)

    @property
    def state_keys(self) -> Collection[str]:
        """The keys that are compared: those of the schema."""
        return self._schema.keys

    def look(self, players: Sequence[str], silent: Collection[str] = ()) -> Look:
        """Compare everything of some players. Raises `NotNow` if the store does not answer; other parts may be away.

        Places that are known to be `silent` are not asked: each would be waited for once more.
        """
        look = Look(players, [], Counter(), Counter(), {}, set(), set(silent))
        parts = self._parts
        passed = {CACHE: parts.checkpoints.load("project")}  # before what came that way is read
        if parts.linked is not None:
            passed[GRAPH] = parts.linked()
        cached = self._ask(look, CACHE, lambda: parts.cache.inspect(players))
        led = self._ask(look, GRAPH, lambda: parts.graph.inspect(players))
        copies: dict[str, Sequence[Mapping[str, bytes]]] = {}
        for other in parts.copies():
            place = copies_in(other.region)
            answer = self._ask(look, place, lambda: (other.passed(), other.load(players)))  # noqa: B023 - called at once
            if answer is not None:
                carried, copies[place] = answer
                if carried is not None:
                    passed[place] = carried
        for region in parts.cut_off():
            look.not_checked[f"{copies_in(region)} is cut off"] += len(players)
            look.away.add(copies_in(region))
        for at, player_id in enumerate(players):
            of_copies = {
                place: {name: copy_of(body) for name, body in held[at].items()} for place, held in copies.items()
            }
            self._compare(look, player_id, cached[at] if cached else None, led[at] if led else None, of_copies)
        head = parts.changes.head()  # after the store was read
        look.ways.update({place: Way(position, head) for place, position in passed.items()})
        return look

    def _ask(self, look: Look, place: str, ask: Callable[[], T]) -> T | None:
        try:
            if place not in look.silent:
                return ask()
            why = "does not answer"
        except NotNow:
            look.silent.add(place)
            why = "does not answer"
        except InvariantViolated:  # its own region stops for that
            why = "cannot be read"
        look.not_checked[f"{place} {why}"] += len(look.players)
        look.away.add(place)
        return None

    def _compare(
        self,
        look: Look,
        player_id: str,
        cached: Inspected | None,
        led: PlayerEdges | None,
        copies: Mapping[str, Mapping[str, Copy]],
    ) -> None:
        stored = read_player(self._parts.store, self._images, self._schema, self._region, player_id)
        look.compared[STORE] += len(stored.views)
        if stored.unknown:
            look.not_checked["keys that cannot be read here"] += len(stored.unknown)
        found = list(stored.damaged)
        for view in stored.views.values():
            found += compare_minimum(view, self._schema.keys[view.state_key])
        if cached is not None:
            differences = compare_cache(player_id, stored.views, cached, stored.unknown)
            found += self._blame.of_followers(differences, stored)
            look.compared[CACHE] += len(cached.entries)
        if led is not None:
            differences = compare_graph(player_id, stored.views, led, self._schema, stored.unknown)
            found += self._blame.of_followers(differences, stored)
            look.compared[GRAPH] += len(led.totals)
        for place, rows in copies.items():
            known = [
                {name: copy for name, copy in side.items() if name not in stored.unknown} for side in (stored.own, rows)
            ]
            found += self._blame.of_copied(compare_copies(place, player_id, *known), stored, copies)
            look.compared[place] += len(rows)
        look.differences.extend(_once(found))


def _once(found: Iterable[Difference]) -> Iterable[Difference]:
    """The store's fault shows in several places; nothing can be held against it until it is put right."""
    once = {(one.place, one.key): one for one in found}
    faulty = {key for (place, key), one in once.items() if place == STORE and one.kind is Kind.DIVERGED}
    return [
        one
        for (place, key), one in once.items()
        if place not in (CACHE, GRAPH) or one.kind is not Kind.DIVERGED or key not in faulty
    ]
