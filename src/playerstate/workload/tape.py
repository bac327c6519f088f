"""What was sent to the regions of a deployment, and what the ways between them were like meanwhile: with times.

The same tape can then be played to a model of another system (see `last_writer_wins`).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from playerstate.core.model import Identity, Update
from playerstate.runtime.replication import LinkSettings


class Sent(NamedTuple):
    """An update, with an identity of its own, that a region accepted; when (s), by any one clock."""

    at_s: float
    region: str
    update: Update

    @property
    def identity(self) -> Identity:
        """What the update is known by."""
        return Identity(self.update.producer, self.update.sequence, *self.update.first_key)


class Turned(NamedTuple):
    """The way from one region to another became like this; when (s)."""

    at_s: float
    source: str
    target: str
    way: LinkSettings


Tape: TypeAlias = list[Sent | Turned]
"""In the order of the times."""


def updates_on(tape: Tape) -> list[Sent]:
    """What was sent."""
    return [event for event in tape if isinstance(event, Sent)]
