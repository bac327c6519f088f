"""What apply has put aside: such an update stays dead, however often it comes and whatever the schema says by then.

Otherwise an update whose letter was sent again could take effect beside what was sent: when the stream delivers it once
more after a crash, or its sender does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from playerstate.core.model import DeadLetter, Identity, Update
from playerstate.ports.dead_letters import DeadLetters
from playerstate.stages.told import tell_letters

KNOWN_MAX = 200_000


class PutAside:
    """The dead letters, as the one stage has them that makes them of updates.

    The identities of all that are on record are kept in memory, as a filter: it may hold some that are forgotten, so
    that what it knows is looked up. Other processes may run the stage too, on other parts of the stream or, once a part
    has moved, on one that was this one's: `refresh` takes in what they have put aside.
    """

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters
        self._mark = dead_letters.mark()  # before the identities: what is put meanwhile is read again at worst
        self._own = 0  # letters put here since the mark
        self._known: set[Identity] = set()
        self._known_max = KNOWN_MAX
        self._read()

    def refresh(self) -> None:
        """Take in what others have put aside since this was called last."""
        mark = self._dead_letters.mark()
        if mark != self._mark + self._own:
            self._add(self._dead_letters.identities_since(self._mark))
        self._mark, self._own = mark, 0

    def holds(self, identity: Identity) -> bool:
        """Whether an update was put aside."""
        if identity not in self._known:
            return False
        if self._dead_letters.code_of(identity) is None:
            self._known.discard(identity)
            return False
        return True

    @property
    def empty(self) -> bool:
        """Whether nothing is on record, so that there is nothing to ask."""
        return not self._known

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters, but for those of places on the stream that have gone already; how many were not there."""
        new = [letter for letter in letters if not self._dead_letters.has_ended(letter)]
        kept = self._dead_letters.put(new) if new else 0
        self._own += kept
        if kept:
            tell_letters(new)
        self._add([letter.identity for letter in new if letter.identity])
        return kept

    def erase(self, erasures: Iterable[tuple[Update, int]]) -> None:
        """Have the letters go that were found before erasures of their players, which lie at these places."""
        for update, position in erasures:
            at = update.sent_at
            self._dead_letters.erase(update.first_key.player_id, at=at, before=place_name(position))

    def _add(self, identities: Iterable[Identity]) -> None:
        self._known.update(identities)
        if len(self._known) > self._known_max:  # most of them must have been forgotten meanwhile
            self._read()

    def _read(self) -> None:
        self._known = set(self._dead_letters.identities())
        self._known_max = max(KNOWN_MAX, 2 * len(self._known))


def place_name(position: int, index: int | None = None) -> str:
    """The id of the letter of what lies at a place of the stream."""
    return f"stream-{position:016d}" if index is None else f"stream-{position:016d}-{index:04d}"
