"""Dead letters under the hands of operators: sent again, discarded, expired.

    letter -> [had no effect? nobody erased, room for a producer of its own] -> accept -> ...
       |
       +-> the record of what has gone

Sending a letter again may be cut off at any point and be repeated. Its updates have the same identity at every try, and
the time of the first try that is not known to have ended, which is kept before anything is sent: so what a try has
brought to the stream is a repeat for the next one, and once rows may have forgotten it, it is rejected as too old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from playerstate.core.answers import Accepted, Answer, Rejected
from playerstate.core.letters import End, Ending, GoneLetter, check_discard_reason, replayer
from playerstate.core.model import DeadLetter, Identity, Stage, Update
from playerstate.core.producers import RETENTION_MS
from playerstate.core.wire import decode_any_updates
from playerstate.errors import InvalidUpdate, NotNow
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Queue
from playerstate.stages.hindrances import Hindrances

PROCESSED = "processed"


class Letters:
    """What can be done with the dead letters of one region. `send` is accept; one thing is done at a time."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        queues: Mapping[Stage, Queue],
        clock: Clock,
        *,
        send: Callable[[Sequence[Update]], list[Answer]],
        took_effect: Callable[[Identity], bool],
        hindrances: Hindrances,
    ) -> None:
        self._dead_letters = dead_letters
        self._queues = queues
        self._clock = clock
        self._send = send
        self._took_effect = took_effect
        self._hindrances = hindrances
        self._lock = threading.Lock()

    def send_again(self, letter_id: str) -> list[Answer]:
        """Send a letter's updates under a producer of its own, or put a letter of a consumer group back on its queue.

        One that has taken effect all the same is answered as rejected, `processed`; if all have, that is raised. One
        that names a player who was erased since is `erased`, one whose key has no room for the producer
        `too_many_producers`. The letter goes once every one that had no effect is accepted, now or before.
        """
        with self._lock:
            letter = self._existing(letter_id)
            if letter.stage in self._queues:
                self._queues[letter.stage].send([letter.body])  # whoever takes it stands being told twice
                self._end(letter, End.SENT_AGAIN)
                return []
            originals = decode_any_updates(letter.body)
            answers = self._answers_without_sending(letter, originals)
            missing = [place for place in range(1, len(originals) + 1) if place not in answers]
            if missing:
                answers |= self._try(letter, originals, missing)
            answers = dict(sorted(answers.items()))
            accepted = {place: answer for place, answer in answers.items() if isinstance(answer, Accepted)}
            codes = {answer.code for answer in answers.values() if isinstance(answer, Rejected)}
            if codes == {PROCESSED} and not accepted:
                raise InvalidUpdate("All that is in this letter has been processed already", code=PROCESSED)
            if codes <= {PROCESSED}:
                self._end(letter, End.SENT_AGAIN, sent_as=[answer.identity for answer in accepted.values()])
            else:
                self._dead_letters.replace(structs.replace(letter, accepted=list(accepted)))
            return list(answers.values())

    def discard(self, letter_id: str, reason: str) -> GoneLetter:
        """Have a letter go, with what is on record of it from then on. Raises `InvalidUpdate` without a reason."""
        check_discard_reason(reason)
        with self._lock:
            self._end(self._existing(letter_id), End.DISCARDED, reason=reason)
            gone = self._dead_letters.latest_gone(letter_id)
        if gone is None:
            raise InvalidUpdate(f"There is no record of {letter_id[:80]!r} any more", code="unknown_letter")
        return gone

    def erase(self, player_id: str) -> None:
        """Have a player's letters go, without a word of what was in them."""
        with self._lock:
            self._dead_letters.erase(player_id, at=self._clock.now_ms())

    def expire(self, before: int, keep: int, *, limit: int) -> int:
        """End letters that are too old or too many, none of them while it is being sent again."""
        with self._lock:
            return self._dead_letters.expire(before, keep, at=self._clock.now_ms(), limit=limit)

    def _existing(self, letter_id: str) -> DeadLetter:
        letter = self._dead_letters.get(letter_id)
        if letter is not None:
            return letter
        raise self._gone(letter_id)

    def _gone(self, letter_id: str) -> InvalidUpdate:
        gone = self._dead_letters.latest_gone(letter_id)
        if gone is None:
            return InvalidUpdate(f"There is no dead letter {letter_id[:80]!r}", code="unknown_letter")
        return InvalidUpdate(f"The dead letter {letter_id[:80]!r} has gone: {gone.ending.end}", code="letter_gone")

    def _answers_without_sending(self, letter: DeadLetter, originals: Sequence[Update]) -> dict[int, Answer]:
        """By place: what an earlier try is known to have sent, and what has taken effect under its own identity."""
        answers: dict[int, Answer] = {}
        for place, update in enumerate(originals, start=1):
            sent = self._as_sent(letter, place, update)
            if place in letter.accepted or (letter.tried_at and self._took_effect(sent)):
                answers[place] = Accepted(*sent)
            elif update.ops and self._took_effect(update.identity):
                answers[place] = Rejected(PROCESSED, "The update has been processed already", "$")
            elif letter.tried_at and letter.tried_at < self._clock.now_ms() - RETENTION_MS:
                words = "A try to send it again was cut off, so long ago that what came of it is no longer known"
                answers[place] = Rejected("tried_before", words, "$")
        return answers

    def _try(self, letter: DeadLetter, originals: Sequence[Update], places: Sequence[int]) -> dict[int, Answer]:
        """Send the updates at these places. Once this has raised anything but `NotNow`, nobody knows what was sent."""
        now = self._clock.now_ms()  # before the rows are read: what is erased from here on makes it expire
        begun = letter if letter.tried_at else structs.replace(letter, tried_at=now)
        self._hindrances.catch_up()
        answers: dict[int, Answer] = {}
        updates: dict[int, Update] = {}
        for place in places:
            original = originals[place - 1]
            producer, sequence, *_ = self._as_sent(letter, place, original)
            if hindrance := self._hindrances.of(original, producer, found_at=letter.at, now=now):
                answers[place] = hindrance
            else:
                updates[place] = structs.replace(original, producer=producer, sequence=sequence, sent_at=begun.tried_at)
        if not updates:
            return answers
        if not self._dead_letters.replace(begun):  # apply has erased it meanwhile
            raise self._gone(letter.letter_id)
        try:
            return answers | dict(zip(updates, self._send(list(updates.values())), strict=True))
        except NotNow:
            self._dead_letters.replace(letter)
            raise

    def _as_sent(self, letter: DeadLetter, place: int, update: Update) -> Identity:
        player_id, state_key = update.first_key if update.ops else ("", "")
        return Identity(replayer(letter), place, player_id, state_key)

    def _end(self, letter: DeadLetter, end: End, *, reason: str = "", sent_as: Sequence[Identity] = ()) -> None:
        self._dead_letters.end(letter.letter_id, Ending(end, self._clock.now_ms(), reason, list(sent_as)))
