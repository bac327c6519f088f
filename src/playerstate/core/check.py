"""Whether an update can ever take effect: what accept refuses, and apply dead-letters.

The same function serves both, so that the same input gets the same words on every way in.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

from playerstate.core.erasure import check_erasure
from playerstate.core.model import Json, Op, Update
from playerstate.core.notes import check_note
from playerstate.core.producers import OWN_PRODUCER_PREFIX, RETENTION_MS
from playerstate.core.schema import KeySpec, Schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.types.contract import DataType
from playerstate.core.version_vector import parse_vector
from playerstate.errors import InvalidUpdate

OPS_MAX = 25
ROWS_MAX = 20
ID_LENGTH_MAX = 128
SEQUENCE_MAX = 2**53
SENT_AT_MAX = 2**53
"""So that stamps, in microseconds, stay within 64 bits whatever lies on the stream."""
FUTURE_MAX_MS = 3600 * 1000
"""How far ahead of accept's clock a sender's clock may be."""


KEYS_NAMED_MAX = 10
"""How many of the schema's keys are told to whoever names one that it has not."""


class Checker:
    """Checks updates against one game's schema."""

    def __init__(self, schema: Schema) -> None:
        self._keys: dict[str, tuple[KeySpec, DataType[Any]]] = {
            name: (spec, DATA_TYPES[spec.type]) for name, spec in schema.keys.items()
        }

    def check(self, update: Update) -> None:
        """Raise `InvalidUpdate` if the update, with its identity, can never take effect."""
        self.check_content(update)
        self._check_identity(update)

    def check_erasure(self, update: Update) -> None:
        """The same for an update that erases: the ordinary check refuses it, since clients make none."""
        check_erasure(update)
        op = update.ops[0]
        _check_id(op.player_id, "$.ops[0].player_id")
        if op.state_key not in self._keys:
            raise unknown_key(op.state_key, self._keys, "$.ops[0].state_key")
        self._check_identity(update)

    def _check_identity(self, update: Update) -> None:
        _check_id(update.producer, "$.producer")
        if not 1 <= update.sequence <= SEQUENCE_MAX:
            raise InvalidUpdate(f"Expected a sequence of 1 to {SEQUENCE_MAX}", code="bad_sequence", where="$.sequence")
        if not 0 <= update.sent_at <= SENT_AT_MAX:
            raise InvalidUpdate(f"Expected a time of 0 to {SENT_AT_MAX} ms", code="out_of_range", where="$.sent_at")

    def check_content(self, update: Update) -> None:
        """Raise `InvalidUpdate` if what the update asks for can never take effect."""
        if not update.ops:
            raise InvalidUpdate("An update has at least one operation", code="empty", where="$.ops")
        if len(update.ops) > OPS_MAX:
            raise InvalidUpdate(
                f"An update has at most {OPS_MAX} operations, got {len(update.ops)}",
                code="too_many_operations",
                where="$.ops",
            )
        for index, op in enumerate(update.ops):
            try:
                self._check_op(op)
            except InvalidUpdate as exc:
                raise exc.within(f"$.ops[{index}]") from None
        if len(update.ops) > ROWS_MAX and len({op.key for op in update.ops}) > ROWS_MAX:
            raise InvalidUpdate(f"An update changes at most {ROWS_MAX} keys", code="too_many_keys", where="$.ops")
        if update.seen is not None:
            parse_vector(update.seen, where="$.seen")
        if update.if_version is not None:
            parse_vector(update.if_version, where="$.if_version")
        if update.if_versions is not None:
            _check_versions(update)
        if update.note is not None:
            check_note(update.note)

    def _check_op(self, op: Op) -> None:
        _check_id(op.player_id, ".player_id")
        known = self._keys.get(op.state_key)
        if known is None:
            _check_text(op.state_key, ".state_key")
            raise unknown_key(op.state_key, self._keys, ".state_key")
        spec, data_type = known
        data_type.check(op, spec)


def _check_versions(update: Update) -> None:
    keys = {op.key for op in update.ops}
    for index, (*key, version) in enumerate(update.if_versions or ()):
        where = f"$.if_versions[{index}]"
        if tuple(key) not in keys:
            raise InvalidUpdate("Expected one of the update's own keys", code="bad_version", where=where)
        parse_vector(version, where=where)


def unknown_key(state_key: str, known: Collection[str], where: str) -> InvalidUpdate:
    """The error for a key that the schema has not, in the same words for whoever names it: it says which there are."""
    named = ", ".join(islice(known, KEYS_NAMED_MAX))
    more = f" and {len(known) - KEYS_NAMED_MAX} more" if len(known) > KEYS_NAMED_MAX else ""
    words = f"The schema has no key {state_key[:80]!r}; it has {named}{more}"
    return InvalidUpdate(words, code="unknown_key", where=where)


def check_times(update: Update, now: int) -> None:
    """Raise `InvalidUpdate` if `sent_at` is further from accept's clock (ms) than can be handled."""
    if update.sent_at < now - RETENTION_MS:
        raise InvalidUpdate(
            f"sent_at is more than {RETENTION_MS // 3_600_000} h in the past",
            code="too_old",
            where="$.sent_at",
        )
    check_not_from_the_future(update, now)


def check_not_from_the_future(update: Update, now: int) -> None:
    """Raise `InvalidUpdate` if `sent_at` is further ahead of `now` (ms) than clocks may differ."""
    if update.sent_at > now + FUTURE_MAX_MS:
        raise InvalidUpdate(
            f"sent_at is more than {FUTURE_MAX_MS // 60_000} min in the future",
            code="too_new",
            where="$.sent_at",
        )


def check_client_producer(producer: str) -> None:
    """Raise `InvalidUpdate` if a client uses an id of those that accept gives itself."""
    if producer.startswith(OWN_PRODUCER_PREFIX):
        raise InvalidUpdate(
            f"A client's producer does not begin with {OWN_PRODUCER_PREFIX}",
            code="bad_name",
            where="$.producer",
        )


def check_player_id(player_id: Json, where: str = "$.player_id") -> None:
    """Raise `InvalidUpdate` unless it can name a player."""
    if not isinstance(player_id, str):
        raise InvalidUpdate("Expected a text", code="bad_name", where=where)
    _check_id(player_id, where)


def _check_id(text: str, where: str) -> None:
    if not text or len(text) > ID_LENGTH_MAX:
        raise InvalidUpdate(f"Expected 1 to {ID_LENGTH_MAX} characters", code="bad_name", where=where)
    _check_text(text, where)


def _check_text(text: str, where: str) -> None:
    if not text.isprintable() or "{" in text or "}" in text:
        raise InvalidUpdate("Braces and control characters are not allowed", code="bad_name", where=where)
