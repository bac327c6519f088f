"""What a node has, read from its parts as they are: nothing is filled, repaired or waited for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from playerstate.core.images import Images
from playerstate.core.model import Cause, Identity, Key
from playerstate.core.schema import Schema
from playerstate.ports.audit import Audit
from playerstate.ports.cache import Cache
from playerstate.ports.store import Store
from playerstate.service import Parts
from playerstate.workload.compare import Expected, Found, Seen, Trace

HISTORY_MAX = 10_000_000
"""Transitions of one player that are read at once: more than a load leaves."""


def read_found(parts: Parts, schema: Schema, expected: Expected, outcomes: Mapping[str, int]) -> Found:
    """All that is there of the players of whom something is expected. `outcomes` are those that the node counted."""
    players = sorted({key.player_id for key in expected.values})
    return Found(
        stored_views(parts.store, schema, players),
        cached_views(parts.cache, players),
        {key: parts.graph.edges(key)[1] for key in expected.edges},
        dict(outcomes),
        recorded_traces(parts.audit, players),
    )


def stored_views(store: Store, schema: Schema, players: Collection[str]) -> dict[Key, Seen]:
    """The views of players' keys by the store's rows."""
    images = Images(schema, kept_max=2)  # every row is met once
    views: dict[Key, Seen] = {}
    for player_id in players:
        for key, rows in store.load_player(player_id).items():
            view = images.view(key, [images.read(key.state_key, body) for body in rows.values()])
            views[key] = Seen(view.version, view.decoded())
    return views


def cached_views(cache: Cache, players: Collection[str]) -> dict[Key, Seen]:
    """The views of players' keys that the cache holds."""
    return {
        view.key: Seen(view.version, view.decoded())
        for player_id in players
        for view in cache.get_player(player_id).views.values()
    }


def recorded_traces(audit: Audit, players: Collection[str]) -> dict[Trace, list[str]]:
    """Every mark that an update left in the players' histories, with its outcome, as often as it is there."""
    traces: defaultdict[Trace, list[str]] = defaultdict(list)
    for player_id in players:
        for transition in audit.history(player_id, limit=HISTORY_MAX):
            key = Key(player_id, transition.state_key)
            for cause in transition.causes:
                traces[Trace(_identity(cause, key), key)].append(_outcome(cause))
    return dict(traces)


def _identity(cause: Cause, key: Key) -> Identity:
    return Identity(cause.producer, cause.sequence, *(cause.of or key))


def _outcome(cause: Cause) -> str:
    return f"{cause.status}:{cause.reason}" if cause.reason else str(cause.status)
