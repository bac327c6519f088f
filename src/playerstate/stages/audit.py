"""Audit: notices, and what apply did nothing with -> the history of every player."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.core.model import Delivery, Key, Notice
from playerstate.core.told import Told
from playerstate.core.views import transition_of
from playerstate.ports.audit import Audit


class Record:
    """The stage. Transitions are identified by their steps, so telling it twice is harmless.

    A notice of an erased key, whichever region wrote it, has what is recorded of the time before deleted.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def handle(self, told: Sequence[Told]) -> int:
        """Record what the notices tell, and deliveries; returns how many transitions that were. Raises `NotNow`."""
        notices = [one for one in told if isinstance(one, Notice)]
        erased = [notice for notice in notices if notice.epoch]
        if erased:
            epochs: dict[Key, int] = {}
            for notice in erased:
                epochs[notice.key] = max(notice.epoch, epochs.get(notice.key, 0))
            self._audit.erase(epochs)
        transitions = [transition for notice in notices if (transition := transition_of(notice))]
        if transitions:
            self._audit.append(transitions)
        deliveries = [one for one in told if isinstance(one, Delivery)]
        if deliveries:
            self._audit.note(deliveries)
        return len(transitions)
