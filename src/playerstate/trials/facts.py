"""What a round of trials knows: what clients hold, what readers saw, what was found in every region at rest."""

from __future__ import annotations

import msgspec

from playerstate.core.model import Identity
from playerstate.simulation.history import History


class Facts(msgspec.Struct):
    """Everything that the checkers look at. In `history`, what was committed is what the regions' audits tell of.

    `outcomes` is what each region answers when it is asked what became of an update: `applied`, `refused:insufficient`;
    "" where it does not know. `dead_letters` are each region's, in words. `trouble` is what should never happen.
    """

    history: History
    outcomes: dict[str, dict[Identity, str]] = {}
    dead_letters: dict[str, list[str]] = {}
    trouble: list[str] = []
