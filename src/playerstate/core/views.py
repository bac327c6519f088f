"""What readers see of a state, and what the audit keeps of a notice."""

from __future__ import annotations

from typing import Any

import msgspec

from playerstate.core.model import Notice, Transition
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES

_encode = msgspec.json.Encoder().encode


def value_json(state: Any, spec: KeySpec) -> bytes:
    """The value that readers see, as JSON."""
    return _encode(DATA_TYPES[spec.type].value(state, spec))


def transition_of(notice: Notice) -> Transition | None:
    """The audit record of a write; None where another region's audit records it, or nothing happened."""
    if not notice.because and not notice.sides:
        return None
    steps = [cause.n for cause in notice.because] or [0]
    return Transition(
        notice.player_id,
        notice.state_key,
        notice.region,
        steps[0],
        steps[-1],
        notice.written_at,
        notice.before_version,
        notice.version,
        notice.before,
        notice.after,
        notice.because,
        notice.sides,
        notice.epoch,
    )
