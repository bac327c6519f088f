"""Audit: notices -> the history of every player."""

from __future__ import annotations

from collections.abc import Sequence

from playerstate.core.model import Key, Notice
from playerstate.core.views import transition_of
from playerstate.ports.audit import Audit


class Record:
    """The stage. Transitions are identified by their steps, so telling it twice is harmless.

    A notice of an erased key, whichever region wrote it, has what is recorded of the time before deleted.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def handle(self, notices: Sequence[Notice]) -> int:
        """Record what the notices tell; returns how many transitions that were. Raises `NotNow`."""
        erased = [notice for notice in notices if notice.epoch]
        if erased:
            epochs: dict[Key, int] = {}
            for notice in erased:
                epochs[notice.key] = max(notice.epoch, epochs.get(notice.key, 0))
            self._audit.erase(epochs)
        transitions = [transition for notice in notices if (transition := transition_of(notice))]
        if transitions:
            self._audit.append(transitions)
        return len(transitions)
