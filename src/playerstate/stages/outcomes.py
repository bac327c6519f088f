"""What became of an update: read from its first row's memory, the dead letters, and the history."""

from __future__ import annotations

import msgspec

from playerstate.core.images import Images
from playerstate.core.model import Identity, Key, Outcome, Status
from playerstate.core.producers import OWN_PRODUCER_PREFIX, recall
from playerstate.core.row import join_rows
from playerstate.core.schema import Schema
from playerstate.core.types import DATA_TYPES
from playerstate.errors import NotOffered
from playerstate.ports.audit import Audit
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.store import Store

HISTORY_SEARCHED_MAX = 100


class Outcomes:
    """Reads the parts of one region.

    A row's memory alone does not tell: accept's own producers leave no gaps, so that an update of theirs that was put
    aside looks as if it had been applied. So the dead letters are asked first, those that have gone too. Up to a
    sequence of which even that record is forgotten, only the history can tell; else the answer is `expired`.
    """

    def __init__(self, schema: Schema, store: Store, audit: Audit, dead_letters: DeadLetters) -> None:
        self._schema = schema
        self._store = store
        self._audit = audit
        self._dead_letters = dead_letters
        self._images = Images(schema, kept_max=256)

    def of(self, identity: Identity) -> Outcome | None:
        """The outcome, of a key that the schema has; None if none is known."""
        known = self._remembered(identity)
        own = identity.producer.startswith(OWN_PRODUCER_PREFIX)
        if known is not None and known.duplicate and not own:
            return msgspec.structs.replace(known, duplicate=False)
        code = self._dead_letters.code_of(identity)
        if known is not None and known.duplicate and code is None and self._never_dead(identity):
            return msgspec.structs.replace(known, duplicate=False)
        told = self._in_history(identity)  # of what the row had no room for, or has let go
        if told is not None:
            return told
        if code is not None:
            return Outcome(Status.DEAD, code)
        return Outcome(Status.EXPIRED) if known is not None else None

    def _never_dead(self, identity: Identity) -> bool:
        """Whether the update of a producer of accept's own, which is on no record, surely was not put aside."""
        return identity.sequence > self._dead_letters.forgotten_up_to(identity.producer)

    def took_effect(self, identity: Identity) -> bool:
        """Whether an update has an outcome other than `dead`."""
        if not identity.producer or identity.state_key not in self._schema.keys:
            return False
        known = self.of(identity)
        return known is not None and known.status is not Status.DEAD

    def _remembered(self, identity: Identity) -> Outcome | None:
        """What the rows of the first key remember; marked as a duplicate unless they do not know any more."""
        key = Key(identity.player_id, identity.state_key)
        stored = self._store.load([key])[key]
        rows = [self._images.read(key.state_key, body).row for body in stored.values()]
        memory = join_rows(rows, DATA_TYPES[self._schema.keys[key.state_key].type]).memory
        known = recall(memory, identity.producer, identity.sequence, sent_at=2**62)
        return known if isinstance(known, Outcome) else None

    def _in_history(self, identity: Identity) -> Outcome | None:
        try:
            transitions = self._audit.history(*identity[2:], limit=HISTORY_SEARCHED_MAX)
        except NotOffered:  # this history is only written to
            return None
        for transition in transitions:
            for cause in transition.causes:
                if (cause.producer, cause.sequence, cause.of) == (identity.producer, identity.sequence, None):
                    return Outcome(cause.status, cause.reason)
        return None
