"""Sends a recording through several regions at once, each session to one of them, and checks what came of it.

What has to come of it follows from what the regions answered, not from a replay elsewhere: regions that do not wait for
each other refuse other updates than one region would (rights that are elsewhere), and work snapshots (`set`, `replace`)
out to other deltas. So it is checked that

- all regions end with the same,
- the updates that were answered `applied` are those that the histories say were,
- every value is what exactly these come to (`explain`),
- a key that ends otherwise than in the plain replay has a reason for it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import msgspec

from playerstate.api import PlayerState
from playerstate.core.model import Json, Key, Update, View
from playerstate.errors import Unavailable
from playerstate.replay.compare import (
    DRAIN_S,
    DRAINS_MAX,
    read_history,
    read_outcomes,
    rejections,
    shortened,
)
from playerstate.replay.explain import deeds_in, unexplained
from playerstate.replay.format import ReplayFormat, Source, identity_of
from playerstate.replay.otherwise import Differing, applied_otherwise, find_differing
from playerstate.replay.patience import Patience
from playerstate.replay.repeats import Repeats

BATCH_SIZE = 50
CALM_S = 0.2
"""How long nothing may have changed before the regions count as having come to rest."""


class SpreadReport(msgspec.Struct):
    """What a replay over regions came to; `differences` is what is not as it has to be.

    `sessions` and `outcomes` are by region, `settled_s` is how long after the last call all regions showed the same.
    """

    format: str
    source: Source
    sent: int
    repeats: int
    retries: int
    sessions: dict[str, int]
    outcomes: dict[str, dict[str, int]]
    plain_outcomes: dict[str, int]
    settled_s: float
    state: dict[str, dict[str, Json]]
    differing: list[Differing]
    differences: list[str]

    @property
    def agrees(self) -> bool:
        """Whether all is as it has to be."""
        return not self.differences


def replay_spread(
    regions: Mapping[str, PlayerState],
    recording: ReplayFormat,
    paths: Sequence[Path],
    *,
    repeats_seed: int | None = None,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> SpreadReport:
    """Send a recording's sessions to the regions in turn, to all at once, and check what came of it.

    Arguments and errors are those of `replay`. Raises `Unavailable` if the regions do not come to rest, as when a way
    between two of them stays cut.
    """
    plain = recording.plain_replay(paths)
    patience = Patience(wait)
    homes = _homes(recording.read(paths), list(regions))
    lanes = {name: [one for one in recording.read(paths) if homes[one.producer] == name] for name in regions}
    repeats = {
        name: Repeats(None if repeats_seed is None else repeats_seed + number)
        for number, name in enumerate(regions)
    }  # fmt: skip
    sent = 0
    wrong: list[str] = []
    for name, fresh in _in_turn(lanes, batch_size):
        now = now_ms()
        batch = list(repeats[name].mixed_into(msgspec.structs.replace(update, sent_at=now) for update in fresh))
        wrong += rejections(batch, patience(regions[name].send_many, batch))
        sent += len(fresh)
        if on_progress is not None:
            on_progress(sent, plain.source.updates)
    began = time.monotonic()
    views = _settled(regions, list(plain.state), patience, wait)
    settled_s = time.monotonic() - began - CALM_S
    histories = {
        name: [t for player_id in plain.state for t in read_history(node, player_id, patience)]
        for name, node in regions.items()
    }
    outcomes = {
        name: read_outcomes(node, map(identity_of, lanes[name]), histories[name], patience)
        for name, node in regions.items()
    }
    updates = {identity_of(update): update for lane in lanes.values() for update in lane}
    answered = {identity: outcome for its in outcomes.values() for identity, outcome in its.items()}
    deeds = deeds_in((transition for its in histories.values() for transition in its), updates)
    schema = next(iter(regions.values())).schema
    state = {
        Key(player_id, key): views[Key(player_id, key)].decoded() if Key(player_id, key) in views else value
        for player_id, keys in plain.state.items()
        for key, value in keys.items()
    }
    wrong += applied_otherwise(histories, answered)
    for key, value in state.items():
        problem = unexplained(schema.keys[key.state_key], deeds.get(key, []), value)
        if problem is not None:
            wrong.append(f"{key} {problem}")
    differing = find_differing(schema.keys, state, plain, updates, answered, deeds)
    wrong += [
        f"{one.key} is not as in the plain replay, and nothing can have made it different"
        for one in differing
        if not one.has_reason
    ]
    shown: dict[str, dict[str, Json]] = {}
    for key, value in sorted(state.items()):
        shown.setdefault(key.player_id, {})[key.state_key] = value
    return SpreadReport(
        recording.name,
        plain.source,
        sent,
        sum(its.count for its in repeats.values()),
        patience.retries,
        dict(Counter(homes.values())),
        {name: dict(Counter(its.values())) for name, its in outcomes.items()},
        dict(Counter(plain.outcomes.values())),
        round(settled_s, 3),
        shown,
        differing,
        shortened(wrong),
    )


def _homes(updates: Iterable[Update], regions: Sequence[str]) -> dict[str, str]:
    """The region of each session, in turn as they are met."""
    turns = cycle(regions)
    homes: dict[str, str] = {}
    for update in updates:
        if update.producer not in homes:
            homes[update.producer] = next(turns)
    return homes


def _in_turn(lanes: Mapping[str, Sequence[Update]], size: int) -> Iterator[tuple[str, list[Update]]]:
    """Batches of all lanes, one of each in turn while it lasts."""
    waiting = {name: iter(lane) for name, lane in lanes.items()}
    while waiting:
        for name in list(waiting):
            batch = list(islice(waiting[name], size))
            if batch:
                yield name, batch
            else:
                del waiting[name]


def _settled(
    regions: Mapping[str, PlayerState], players: Sequence[str], patience: Patience, wait: Callable[[float], None]
) -> dict[Key, View]:
    """Wait until all regions show the same and nothing moves; what they show."""
    before: dict[Key, View] | None = None
    deadline = time.monotonic() + DRAIN_S * DRAINS_MAX
    while time.monotonic() < deadline:
        drained = all(patience(node.drain, timeout_s=DRAIN_S) for node in regions.values())
        shown = [
            {view.key: view for player_id in players for view in patience(node.get_player, player_id).values()}
            for node in regions.values()
        ]
        same = shown[0] if drained and all(one == shown[0] for one in shown) else None
        if same is not None and same == before:
            return same
        before = same
        wait(CALM_S)
    raise Unavailable("the regions do not come to show the same; is a way between them cut?")
