"""Audit: notices, and what apply did nothing with -> the history of every player."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from playerstate.core.model import ERASE, Delivery, Key, Notice
from playerstate.core.told import Told
from playerstate.core.views import transition_of
from playerstate.errors import InvariantViolated
from playerstate.ports.audit import Audit
from playerstate.ports.findings import Findings

log = structlog.get_logger(__name__)


class Record:
    """The stage. Transitions are identified by their steps, so telling it twice is harmless.

    A notice of an erased key, whichever region wrote it, has what is recorded of the time before deleted, and one of
    the erasure itself what `findings` say of the player until then.
    """

    def __init__(self, audit: Audit, findings: Findings | None = None) -> None:
        self._audit = audit
        self._findings = findings

    def handle(self, told: Sequence[Told]) -> int:
        """Record what the notices tell, and deliveries; returns how many transitions that were. Raises `NotNow`."""
        notices = [one for one in told if isinstance(one, Notice)]
        erased = [notice for notice in notices if notice.epoch]
        if erased:
            epochs: dict[Key, int] = {}
            for notice in erased:
                epochs[notice.key] = max(notice.epoch, epochs.get(notice.key, 0))
            self._audit.erase(epochs)
            self._erase_findings([notice for notice in erased if _is_erasure(notice)])
        transitions = [transition for notice in notices if (transition := transition_of(notice))]
        if transitions:
            self._audit.append(transitions)
        deliveries = [one for one in told if isinstance(one, Delivery)]
        if deliveries:
            self._audit.note(deliveries)
        return len(transitions)

    def _erase_findings(self, erasures: Sequence[Notice]) -> None:
        players: dict[str, int] = {}
        for notice in erasures:
            players[notice.player_id] = max(notice.written_at, players.get(notice.player_id, 0))
        if self._findings is None or not players:
            return
        try:
            self._findings.erase(players)
        except InvariantViolated as exc:  # the next start sets the file aside; the history need not wait for that
            log.warning("findings cannot be erased", players=len(players), error=str(exc))


def _is_erasure(notice: Notice) -> bool:
    """Whether it tells of the write that raised the epoch: by its cause or, from other regions, by what it hides."""
    if any(effect.op == ERASE for cause in notice.because for effect in cause.effects):
        return True
    return notice.before_version != "" and bytes(notice.before) == b"null"
