"""Sends a recording through a node, and compares what came of it with the format's plain replay."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from playerstate.api import PlayerState
from playerstate.core.model import Json
from playerstate.replay.compare import compare, gather, rejections, shortened
from playerstate.replay.format import Intervals, ReplayFormat, Source
from playerstate.replay.patience import Patience
from playerstate.replay.repeats import Repeats

BATCH_SIZE = 500


class ReplayReport(msgspec.Struct):
    """What a replay came to. `differences` is empty when the node and the plain replay agree exactly.

    `sent` counts the recording's updates, `repeats` those that were mixed in, `retries` calls that had to be
    made again. Outcomes are counted by texts such as `applied` and `refused:insufficient`; `state` is the
    node's, by player and key.
    """

    format: str
    source: Source
    sent: int
    repeats: int
    retries: int
    outcomes: dict[str, int]
    intervals: dict[str, Intervals]
    plain_outcomes: dict[str, int]
    plain_intervals: dict[str, Intervals]
    state: dict[str, dict[str, Json]]
    differences: list[str]

    @property
    def agrees(self) -> bool:
        """Whether the node and the plain replay came to the same."""
        return not self.differences


def replay(
    node: PlayerState,
    recording: ReplayFormat,
    paths: Sequence[Path],
    *,
    repeats_seed: int | None = None,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> ReplayReport:
    """Send all updates in order, wait until they have taken effect, and compare.

    With `repeats_seed`, repeats of earlier updates are mixed in at random: same identity, same content, same
    `sent_at`. They must change nothing, so the comparison is the same. `on_progress` is told how many of how
    many updates were sent. A call that fails in a way that allows it is made again after a pause, for which
    `wait` is called with seconds; sending again is harmless because every update has its producer and
    sequence. In the end the last error is raised: `Unavailable`, `SlowDown` or `OutcomeUnknown`.
    """
    plain = recording.plain_replay(paths)
    patience = Patience(wait)
    repeats = Repeats(repeats_seed)
    sent = 0
    rejected: list[str] = []
    updates = recording.read(paths)
    while fresh := list(islice(updates, batch_size)):
        now = now_ms()
        batch = list(repeats.mixed_into(msgspec.structs.replace(update, sent_at=now) for update in fresh))
        answers = patience(node.send_many, batch)
        rejected += rejections(batch, answers)
        sent += len(fresh)
        if on_progress is not None:
            on_progress(sent, plain.source.updates)
    found = gather(node, recording, plain, patience)
    state: dict[str, dict[str, Json]] = {}
    for (player_id, state_key), value in sorted(found.state.items()):
        state.setdefault(player_id, {})[state_key] = value
    return ReplayReport(
        recording.name,
        plain.source,
        sent,
        repeats.count,
        patience.retries,
        dict(Counter(found.outcomes.values())),
        found.intervals,
        dict(Counter(plain.outcomes.values())),
        plain.intervals,
        state,
        shortened([*rejected, *compare(found, plain)]),
    )
