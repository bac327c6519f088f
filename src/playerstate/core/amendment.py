"""What putting something right comes to: the update that does it, and what each key had before and has after."""

from __future__ import annotations

import msgspec

from playerstate.core.model import Outcome, Update


class Change(msgspec.Struct, frozen=True, gc=False):
    """One key, as it stood at `version` when it was looked at, and with the update."""

    player_id: str
    state_key: str
    version: str
    before: msgspec.Raw
    after: msgspec.Raw


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """What is put right, worked out from what there was.

    `update` is what was sent, or would be; None if there is nothing to do. `outcome` is what became of it, or would as
    things stand; None if that is not known yet.
    """

    update: Update | None
    changes: list[Change]
    outcome: Outcome | None
