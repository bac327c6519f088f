"""What people say about an update: its note, which the history shows, and the reason that putting right asks for."""

from __future__ import annotations

from playerstate.core.model import Json
from playerstate.errors import InvalidUpdate

REASON_LENGTH_MAX = 200
NOTE_LENGTH_MAX = 400
"""Room for a reason, and for what it is the reason of."""


def check_note(note: Json, where: str = "$.note") -> None:
    """Raise `InvalidUpdate` unless it says something, on a line."""
    if not isinstance(note, str) or not note.strip() or len(note) > NOTE_LENGTH_MAX or not note.isprintable():
        raise InvalidUpdate(
            f"Expected a note of 1 to {NOTE_LENGTH_MAX} printable characters", code="bad_note", where=where
        )


def check_reason(reason: Json, where: str = "$.reason") -> None:
    """Raise `InvalidUpdate` unless it says, on a line, why something is put right."""
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidUpdate("Putting right needs a reason", code="no_reason", where=where)
    if len(reason) > REASON_LENGTH_MAX or not reason.isprintable():
        raise InvalidUpdate(
            f"Expected a reason of 1 to {REASON_LENGTH_MAX} printable characters", code="bad_reason", where=where
        )
