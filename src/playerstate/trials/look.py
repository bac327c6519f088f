"""What the regions hold when all has come to rest: read from their files, their caches, and by their own calls."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.client import RemoteNode
from playerstate.core.findings import Finding
from playerstate.core.images import Images
from playerstate.core.model import Identity, Key, Outcome
from playerstate.simulation.history import Committed, Final
from playerstate.trials.processes import RegionProcess
from playerstate.trials.readers import cache_url
from playerstate.trials.traffic import SCHEMA

HISTORY_MAX = 10_000_000
"""Transitions of one player that are read at once: more than a round leaves."""


FINDINGS_MAX = 1_000


class Found(msgspec.Struct):
    """What one region has of some players."""

    finals: dict[Key, Final]
    recorded: list[Committed]
    dead_letters: list[str]
    findings: list[Finding]
    outcomes: dict[Identity, str]


def look_at_all(
    processes: Mapping[str, RegionProcess], players: Sequence[str], asked: Sequence[Identity]
) -> dict[str, Found]:
    """What each region has of the players, and what it answers when it is asked about updates.

    Raises `Unavailable` if a part of it does not answer.
    """
    with ThreadPoolExecutor(len(processes)) as pool:
        looks = {region: pool.submit(_look, process, players, asked) for region, process in processes.items()}
        return {region: look.result() for region, look in looks.items()}


def _look(process: RegionProcess, players: Sequence[str], asked: Sequence[Identity]) -> Found:
    with contextlib.closing(process.connect()) as node:
        return Found(
            _finals(process, node, players),
            _recorded(process.region, node, players),
            [f"{letter.letter_id}: {letter.code}: {letter.reason}" for letter in node.dead_letters()],
            node.findings(limit=FINDINGS_MAX),
            {identity: _told(node.outcome(identity)) for identity in asked},
        )


def _finals(process: RegionProcess, node: RemoteNode, players: Sequence[str]) -> dict[Key, Final]:
    images = Images(SCHEMA, kept_max=2)  # every row is met once
    finals = {}
    with (
        contextlib.closing(SqliteStore(process.folder / "store.db", there_already=True)) as store,
        contextlib.closing(ValkeyCache.open(cache_url(process.cache_socket()))) as cache,
    ):
        for player in players:
            cached = cache.get_player(player).views
            for key, rows in store.load([Key(player, name) for name in SCHEMA.keys]).items():
                read = {region: images.read(key.state_key, body) for region, body in rows.items()}
                shown = cached.get(key.state_key)
                edge = SCHEMA.keys[key.state_key].edge
                finals[key] = Final(
                    rows,
                    images.view(key, read.values()).decoded(),
                    shown.decoded() if shown else None,
                    node.neighbours(player, edge.label) if edge else None,
                    {region: image.version for region, image in read.items()},
                )
    return finals


def _recorded(region: str, node: RemoteNode, players: Sequence[str]) -> list[Committed]:
    """The causes in a region's audit, in the order of the steps that they took."""
    recorded = [
        Committed(region, Key(player, transition.state_key), cause)
        for player in players
        for transition in node.history(player, limit=HISTORY_MAX, everywhere=False).transitions
        for cause in transition.causes
    ]
    return sorted(recorded, key=lambda committed: (committed.key, committed.cause.n))


def _told(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return f"{outcome.status}:{outcome.reason}" if outcome.reason else str(outcome.status)
