"""Drives what puts right: waits until what has to be read is there, sends, and tries again where it was raced."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from playerstate.api import PlayerState
from playerstate.core.amendment import Amendment
from playerstate.core.answers import Rejected
from playerstate.core.model import Identity, Json, Key, Outcome, Status
from playerstate.core.notes import check_reason
from playerstate.core.types.arguments import check_json
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.stages.put_right import Proposal, PutRight
from playerstate.stages.retrace import Lagging

TRIES_MAX = 5
"""How often it is worked out anew because a key had changed meanwhile."""
WAIT_MAX_S = 30.0
"""How long a call may take in all."""
LAG_MAX_S = 5.0
"""How long the history is given to tell what has to be known."""
PAUSE_S = 0.05


class Amending:
    """`now` (ms) is accept's clock; `catch_up` waits until all that was accepted before is applied, or says False."""

    def __init__(
        self, stage: PutRight, node: PlayerState, now: Callable[[], int], catch_up: Callable[[float], bool]
    ) -> None:
        self._stage = stage
        self._node = node
        self._now = now
        self._catch_up = catch_up

    def set_value(self, key: Key, value: Json, *, reason: str, dry_run: bool) -> Amendment:
        """As `PlayerState.set_value`, of a key that the schema has."""
        check_json(value, "$.value")
        check_reason(reason)
        return self._amend(lambda now: self._stage.propose_value(key, value, reason, now), dry_run=dry_run)

    def undo(self, identity: Identity, *, reason: str, dry_run: bool) -> Amendment:
        """As `PlayerState.undo`, of an update whose first key the schema has."""
        check_reason(reason)
        return self._amend(lambda now: self._stage.propose_undo(identity, reason, now), dry_run=dry_run)

    def _amend(self, propose: Callable[[int], Proposal], *, dry_run: bool) -> Amendment:
        deadline = time.monotonic() + WAIT_MAX_S
        tries = 0
        while True:
            update, changes, expected = self._proposal(propose, deadline)
            if update is None or dry_run:
                return Amendment(update, changes, expected)
            answer = self._node.send(update)
            if isinstance(answer, Rejected):
                raise InvalidUpdate(answer.message, code=answer.code, where=answer.where)
            update = msgspec.structs.replace(update, producer=answer.producer, sequence=answer.sequence)
            outcome = self._outcome(answer.identity, deadline)
            tries += 1
            raced = outcome is not None and outcome.status is Status.CONFLICT
            if not raced or tries == TRIES_MAX or time.monotonic() >= deadline:
                return Amendment(update, changes, outcome)

    def _outcome(self, identity: Identity, deadline: float) -> Outcome | None:
        """What became of it. Once it has been processed, only the history may still have to be waited for; and of what
        came to nothing because of an erasure nobody has an outcome.
        """
        if not self._catch_up(deadline):
            return None
        return self._node.outcome(identity, wait_s=min(LAG_MAX_S, max(0.0, deadline - time.monotonic())))

    def _proposal(self, propose: Callable[[int], Proposal], deadline: float) -> Proposal:
        """Work it out, from what all that was accepted until now has come to."""
        until = min(deadline, time.monotonic() + LAG_MAX_S)
        while True:
            now = self._now()  # before anything is read: see the stage
            if not self._catch_up(deadline):
                raise Unavailable("Too much waits to be applied; nothing was done")
            try:
                return propose(now)
            except Lagging:
                if time.monotonic() >= until:
                    raise
            time.sleep(PAUSE_S)
