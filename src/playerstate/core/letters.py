"""What is asked of dead letters, and what is left of one that has gone: on record, so that it stays dead."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from playerstate.core.model import DeadLetter, Identity, Stage
from playerstate.errors import InvalidUpdate

LETTERS_MAX, GONE_LETTERS_MAX = 20_000, 50_000
"""How many letters, and records of those that have gone, are kept, however young they are."""

DISCARD_REASON_LENGTH_MAX = 200
REPLAYER_PREFIX = "replay:"
"""What the producers of letters that are sent again begin with."""


class End(StrEnum):
    """Why a letter is there no more."""

    SENT_AGAIN = "sent_again"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    ERASED = "erased"


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """How and when (ms) a letter goes.

    `reason` is why it was discarded; `sent_as` are the identities under which its updates were accepted when it was
    sent again.
    """

    end: End
    at: int
    reason: str = ""
    sent_as: list[Identity] = []


class GoneLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a letter that has gone, without what it held.

    `number` rises in the order in which letters went; a letter that came back and went again has two records.
    """

    number: int
    letter_id: str
    stage: Stage
    at: int
    code: str
    identity: Identity | None
    ending: Ending


class LetterFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which letters are meant: those of which all that is given is so. `before` is a time (ms) of finding."""

    stage: Stage | None = None
    code: str | None = None
    player_id: str | None = None
    before: int | None = None

    def matches(self, letter: DeadLetter | GoneLetter) -> bool:
        """Whether the letter is meant."""
        player_id = letter.identity.player_id if letter.identity else None
        return (
            self.stage in (None, letter.stage)
            and self.code in (None, letter.code)
            and self.player_id in (None, player_id)
            and (self.before is None or letter.at < self.before)
        )


EVERY = LetterFilter()


class LetterSummary(msgspec.Struct, frozen=True):
    """How many letters there are, by the stage that found them, and when (ms) the oldest was found; 0 without any."""

    by_stage: dict[Stage, int] = {}
    oldest_at: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.by_stage.values())


def fingerprint(letter: DeadLetter) -> bytes:
    """What tells whether a letter that comes under the id of one that has gone is that one."""
    return hashlib.sha256(letter.body).digest()[:16]


def replayer(letter: DeadLetter) -> str:
    """The producer of a letter that is sent again: the same wherever and whenever that is done.

    Other regions, and a region that was restored, have letters of the same id that hold other updates.
    """
    return f"{REPLAYER_PREFIX}{letter.letter_id}:{fingerprint(letter)[:4].hex()}"


def check_discard_reason(reason: str) -> None:
    """Raise `InvalidUpdate` unless it says on a line why a letter is discarded."""
    if not reason.strip():
        raise InvalidUpdate("Discarding needs a reason", code="no_reason", where="$.reason")
    if len(reason) > DISCARD_REASON_LENGTH_MAX or not reason.isprintable():
        raise InvalidUpdate(
            f"Expected a reason of 1 to {DISCARD_REASON_LENGTH_MAX} printable characters",
            code="bad_reason",
            where="$.reason",
        )
