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
    """The audit record of a write; None for a notice without causes, which its own region's audit records."""
    if not notice.because:
        return None
    return Transition(
        notice.player_id,
        notice.state_key,
        notice.region,
        notice.because[0].n,
        notice.because[-1].n,
        notice.written_at,
        notice.before_version,
        notice.version,
        notice.before,
        notice.after,
        notice.because,
        epoch=notice.epoch,
    )
