"""What a node has to say of a replay, and how that differs from the plain replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from playerstate.api import PlayerState
from playerstate.core.answers import Answer, Rejected
from playerstate.core.model import Identity, Json, Key, Outcome, Status, Transition, Update
from playerstate.errors import Unavailable
from playerstate.replay.format import Intervals, PlainResult, ReplayFormat, identity_of
from playerstate.replay.patience import Patience

DRAIN_S = 5.0
DRAINS_MAX = 120
HISTORY_PAGE = 500
DIFFERENCES_MAX = 100
VALUE_SHOWN_MAX = 200

T = TypeVar("T")


class Gathered(msgspec.Struct):
    """What a node came to."""

    outcomes: dict[Identity, str]
    state: dict[Key, Json]
    intervals: dict[str, Intervals]


def gather(node: PlayerState, recording: ReplayFormat, plain: PlainResult, patience: Patience) -> Gathered:
    """Wait until everything has taken effect, then ask the node for all that the plain replay knows.

    Raises `Unavailable` if it does not finish within `DRAIN_S` * `DRAINS_MAX` seconds.
    """
    if not any(patience(node.drain, timeout_s=DRAIN_S) for _ in range(DRAINS_MAX)):
        raise Unavailable(f"the node did not finish within {DRAIN_S * DRAINS_MAX:.0f} s")
    history = [t for player_id in plain.state for t in read_history(node, player_id, patience)]
    outcomes = read_outcomes(node, plain.outcomes, history, patience)
    state: dict[Key, Json] = {}
    for player_id, keys in plain.state.items():
        views = patience(node.get_player, player_id)
        for key in keys.keys() - views.keys():
            views[key] = patience(node.get, player_id, key)
        state |= {Key(player_id, key): view.decoded() for key, view in views.items()}
    return Gathered(outcomes, state, recording.snapshot_intervals(history))


def read_outcomes(
    node: PlayerState, identities: Iterable[Identity], history: Sequence[Transition], patience: Patience
) -> dict[Identity, str]:
    """What a node answers that became of updates, as texts. `history` has its players' transitions."""
    recorded = outcomes_in(history)
    outcomes = {}
    for identity in identities:
        outcome = patience(node.outcome, identity)
        if outcome is not None and outcome.status is Status.EXPIRED:
            # a row remembers a bounded number of refusals; the history remembers them all
            outcome = recorded.get(identity, outcome)
        outcomes[identity] = outcome_text(outcome)
    return outcomes


def read_history(node: PlayerState, player_id: str, patience: Patience) -> list[Transition]:
    """All of a player's transitions that the node's region wrote, each key's oldest first."""
    found: list[Transition] = []
    before: int | None = None
    while True:
        page = patience(node.history, player_id, before=before, limit=HISTORY_PAGE, everywhere=False)
        found += page.transitions
        before = page.before
        if before is None:
            return sorted(found, key=lambda t: (t.state_key, t.region, t.first, t.version))  # a join takes no step


def outcomes_in(history: Sequence[Transition]) -> dict[Identity, Outcome]:
    """What the transitions say became of updates. An update is remembered in its first row."""
    return {
        Identity(cause.producer, cause.sequence, transition.player_id, transition.state_key): Outcome(
            cause.status, cause.reason
        )
        for transition in history
        for cause in transition.causes
        if cause.of is None
    }


def outcome_text(outcome: Outcome | None) -> str:
    """`applied`, `refused:insufficient`, ...; `unknown` if the node knows none."""
    if outcome is None:
        return "unknown"
    return f"{outcome.status}:{outcome.reason}" if outcome.reason else str(outcome.status)


def rejections(batch: Sequence[Update], answers: Sequence[Answer]) -> list[str]:
    """What was not even accepted. A recording's updates all fit its schema, so nothing should be."""
    return [
        f"update {_named(identity_of(update))} was not accepted: {answer.message}"
        for update, answer in zip(batch, answers, strict=True)
        if isinstance(answer, Rejected)
    ]


def compare(found: Gathered, plain: PlainResult) -> list[str]:
    """The differences in words; none if both agree exactly."""
    state = {Key(player_id, key): value for player_id, keys in plain.state.items() for key, value in keys.items()}
    return [
        *_differences("update", found.outcomes, plain.outcomes),
        *_differences("value", found.state, state),
        *_differences("snapshots", found.intervals, plain.intervals),
    ]


def shortened(differences: Sequence[str]) -> list[str]:
    """The first `DIFFERENCES_MAX` differences, and how many more there are."""
    shown = list(differences[:DIFFERENCES_MAX])
    if len(differences) > len(shown):
        shown.append(f"... and {len(differences) - len(shown)} more")
    return shown


def _differences(what: str, ours: Mapping[T, object], theirs: Mapping[T, object]) -> list[str]:
    """What stands in one and not in the other, or otherwise in the other."""
    return [
        f"{what} {_named(place)}: {_shown(ours, place)} at the node, {_shown(theirs, place)} in the plain replay"
        for place in [*theirs, *(place for place in ours if place not in theirs)]
        if place not in ours or place not in theirs or ours[place] != theirs[place]
    ]


def _named(place: object) -> str:
    if isinstance(place, Identity):
        return f"{place.sequence} of {place.producer} for {place.player_id}/{place.state_key}"
    return str(place)


def _shown(values: Mapping[T, object], place: T) -> str:
    if place not in values:
        return "none"
    text = msgspec.json.encode(values[place]).decode()
    return text if len(text) <= VALUE_SHOWN_MAX else f"{text[:VALUE_SHOWN_MAX]}..."
