"""What is logged of single updates: at DEBUG each by itself, with its identity and what became of it.

Only these lines name players. What is logged above DEBUG says which update it was by producer and sequence, and holds
nothing of players: no id, no value, no name of an item.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import structlog

from playerstate.core.answers import Accepted, Answer
from playerstate.core.batch import Item
from playerstate.core.model import DeadLetter

log = structlog.get_logger(__name__)


def tells_updates() -> bool:
    """Whether single updates are logged; to be asked once a batch, so that it costs nothing where they are not."""
    enabled = getattr(log.bind(), "is_enabled_for", None)
    return structlog.is_configured() and enabled is not None and bool(enabled(logging.DEBUG))


def tell_answers(answers: Iterable[Answer]) -> None:
    """What accept has answered."""
    for answer in answers:
        if isinstance(answer, Accepted):
            log.debug(
                "an update was accepted",
                producer=answer.producer,
                sequence=answer.sequence,
                player_id=answer.player_id,
                state_key=answer.state_key,
            )
        else:
            log.debug("an update was rejected", code=answer.code, where=answer.where, reason=answer.message)


def tell_outcomes(items: Sequence[Item], outcomes: Iterable[str]) -> None:
    """What apply has made of updates."""
    for item, outcome in zip(items, outcomes, strict=True):
        producer, sequence, player_id, state_key = item.update.identity
        log.debug(
            "an update was processed",
            producer=producer,
            sequence=sequence,
            outcome=outcome,
            player_id=player_id,
            state_key=state_key,
        )


def tell_letters(letters: Sequence[DeadLetter]) -> None:
    """What has become dead letters: how many of a batch, and why; each by itself, with its identity, at DEBUG."""
    if not letters:
        return
    codes = Counter(letter.code for letter in letters)
    log.warning("updates became dead letters", stage=letters[0].stage, letters=len(letters), codes=dict(codes))
    for letter in letters if tells_updates() else ():
        of = letter.identity
        log.debug(
            "an update became a dead letter",
            letter=letter.letter_id,
            code=letter.code,
            reason=letter.reason,
            producer=of.producer if of else None,
            sequence=of.sequence if of else None,
            player_id=of.player_id if of else None,
            state_key=of.state_key if of else None,
        )
